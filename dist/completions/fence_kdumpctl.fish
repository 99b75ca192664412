# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_fence_kdumpctl_global_optspecs
    string join \n h/help V/version
end

function __fish_fence_kdumpctl_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_fence_kdumpctl_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_fence_kdumpctl_using_subcommand
    set -l cmd (__fish_fence_kdumpctl_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_needs_command" -s V -l version -d 'Print version'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_needs_command" -f -a "status" -d 'Show who reads the UDP port on this host, and how the nodes are'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_needs_command" -f -a "watch" -d 'Show how the nodes are, all the time'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_needs_command" -f -a "history" -d 'Show the dumps of the past, the latest first'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_needs_command" -f -a "wait" -d 'Wait until fence_kdumpd says that a node is in its crash kernel'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_needs_command" -f -a "nodes" -d 'Show the nodes that are configured: what their messages have to prove, keys and addresses'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_needs_command" -f -a "key" -d 'Make, derive, list and rotate keys'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_needs_command" -f -a "plan" -d 'Plan how this host\'s crash kernel reaches the nodes'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_needs_command" -f -a "decode" -d 'Say what datagrams mean'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand status" -s p -l ipport -d 'The UDP port' -r
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand status" -l all -d 'Show all nodes, also those that were never heard'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand status" -l json -d 'As one JSON object, with all nodes'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand watch" -s p -l ipport -d 'The UDP port' -r
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand watch" -s i -l interval -d 'How often it looks, in seconds' -r
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand watch" -l all -d 'Show all nodes, also those that were never heard'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand watch" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand history" -l since -d 'Only what changed in so long a time, such as 2days or 1h' -r
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand history" -s n -l limit -d 'How many at most' -r
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand history" -l state-dir -d 'Where fence_kdumpd keeps its state' -r -F
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand history" -l events -d 'What happened one by one, instead of whole dumps'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand history" -l json -d 'As one JSON object'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand history" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand wait" -s p -l ipport -d 'The UDP port' -r
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand wait" -s t -l timeout -d 'How long, in seconds; with 0, it looks once' -r
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand wait" -l state -d 'Wait for one of these states instead [default: started,dumping]' -r -f -a "started\t'It was heard once'
dumping\t'It was heard again, or says that it writes its dump'
finished\t'It is done, or silent'
lost\t'It fell silent before it was done'
rebooted\t'It left its crash kernel'"
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand wait" -l fresh -d 'Only what is heard after this began counts'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand wait" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand nodes" -s p -l ipport -d 'The UDP port' -r
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand nodes" -l json -d 'As one JSON object'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand nodes" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand key; and not __fish_seen_subcommand_from new derive list rotate help" -s h -l help -d 'Print help'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand key; and not __fish_seen_subcommand_from new derive list rotate help" -f -a "new" -d 'Make the cluster key'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand key; and not __fish_seen_subcommand_from new derive list rotate help" -f -a "derive" -d 'Make a node\'s own key from the cluster key'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand key; and not __fish_seen_subcommand_from new derive list rotate help" -f -a "list" -d 'Show which keys a file has: their ids, never the keys'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand key; and not __fish_seen_subcommand_from new derive list rotate help" -f -a "rotate" -d 'Put a new cluster key before the present one, or remove the previous one'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand key; and not __fish_seen_subcommand_from new derive list rotate help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand key; and __fish_seen_subcommand_from new" -s o -l out -d 'Where to write it [default: /etc/fence_kdump/cluster.key]' -r -F
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand key; and __fish_seen_subcommand_from new" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand key; and __fish_seen_subcommand_from derive" -s k -l key-file -d 'The file with the cluster key [default: /etc/fence_kdump/cluster.key]' -r -F
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand key; and __fish_seen_subcommand_from derive" -s o -l out -d 'Where to write it; - is standard output, if that is a pipe [default: NODE.node.key beside the cluster key]' -r -F
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand key; and __fish_seen_subcommand_from derive" -l force -d 'Replace another key that is there, such as one from before a rotation'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand key; and __fish_seen_subcommand_from derive" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand key; and __fish_seen_subcommand_from list" -s k -l key-file -d 'The key file [default: /etc/fence_kdump/cluster.key]' -r -F
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand key; and __fish_seen_subcommand_from list" -l json -d 'As one JSON object'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand key; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand key; and __fish_seen_subcommand_from rotate" -s k -l key-file -d 'The file with the cluster key [default: /etc/fence_kdump/cluster.key]' -r -F
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand key; and __fish_seen_subcommand_from rotate" -l finish -d 'Remove the previous key: what was signed with it counts no more'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand key; and __fish_seen_subcommand_from rotate" -l force -d 'Finish even though keys of nodes beside the file are still from the previous key'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand key; and __fish_seen_subcommand_from rotate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand key; and __fish_seen_subcommand_from help" -f -a "new" -d 'Make the cluster key'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand key; and __fish_seen_subcommand_from help" -f -a "derive" -d 'Make a node\'s own key from the cluster key'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand key; and __fish_seen_subcommand_from help" -f -a "list" -d 'Show which keys a file has: their ids, never the keys'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand key; and __fish_seen_subcommand_from help" -f -a "rotate" -d 'Put a new cluster key before the present one, or remove the previous one'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand key; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand plan" -s o -l output -d 'Where to write it, with mode 0600 [default: standard output]' -r -F
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand plan" -l kernel -d 'The version of the crash kernel [default: the one that runs]' -r
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand plan" -l init -d 'What the sender starts when the kernel started it as its first process' -r -F
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand plan" -l mode -d 'Who has the network in the crash kernel' -r -f -a "link\t'The sender alone: the kernel is told no address, so that nothing is in the way of these scripts'
kernel\t'The kernel: the sender tells it the address'"
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand plan" -s p -l ipport -d 'The UDP port' -r
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand plan" -s f -l family -d 'auto, ipv4 or ipv6: which addresses are told' -r
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand plan" -s c -l count -d 'How many messages' -r
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand plan" -s i -l interval -d 'Seconds between two messages' -r
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand plan" -s b -l burst -d 'When the first messages go out' -r
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand plan" -s t -l ttl -d 'TTL or hop limit' -r
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand plan" -s d -l device -d 'Send everything through this interface' -r
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand plan" -s k -l key-file -d 'The node\'s own key, which has to be at the same place in the image' -r -F
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand plan" -s n -l node-name -d 'Whose key of the file' -r
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand plan" -s m -l message -d 'plain, signed or both' -r
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand plan" -s v -l verbose -d 'Say on the console what happens; 2: also errors that repeat themselves' -r
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand plan" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand decode" -s k -l key-file -d 'Verify authentication codes with the keys of this file' -r -F
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand decode" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand help; and not __fish_seen_subcommand_from status watch history wait nodes key plan decode help" -f -a "status" -d 'Show who reads the UDP port on this host, and how the nodes are'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand help; and not __fish_seen_subcommand_from status watch history wait nodes key plan decode help" -f -a "watch" -d 'Show how the nodes are, all the time'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand help; and not __fish_seen_subcommand_from status watch history wait nodes key plan decode help" -f -a "history" -d 'Show the dumps of the past, the latest first'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand help; and not __fish_seen_subcommand_from status watch history wait nodes key plan decode help" -f -a "wait" -d 'Wait until fence_kdumpd says that a node is in its crash kernel'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand help; and not __fish_seen_subcommand_from status watch history wait nodes key plan decode help" -f -a "nodes" -d 'Show the nodes that are configured: what their messages have to prove, keys and addresses'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand help; and not __fish_seen_subcommand_from status watch history wait nodes key plan decode help" -f -a "key" -d 'Make, derive, list and rotate keys'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand help; and not __fish_seen_subcommand_from status watch history wait nodes key plan decode help" -f -a "plan" -d 'Plan how this host\'s crash kernel reaches the nodes'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand help; and not __fish_seen_subcommand_from status watch history wait nodes key plan decode help" -f -a "decode" -d 'Say what datagrams mean'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand help; and not __fish_seen_subcommand_from status watch history wait nodes key plan decode help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand help; and __fish_seen_subcommand_from key" -f -a "new" -d 'Make the cluster key'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand help; and __fish_seen_subcommand_from key" -f -a "derive" -d 'Make a node\'s own key from the cluster key'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand help; and __fish_seen_subcommand_from key" -f -a "list" -d 'Show which keys a file has: their ids, never the keys'
complete -c fence_kdumpctl -n "__fish_fence_kdumpctl_using_subcommand help; and __fish_seen_subcommand_from key" -f -a "rotate" -d 'Put a new cluster key before the present one, or remove the previous one'
