# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_fence_kdumpd_global_optspecs
    string join \n c/config= node= p/ipport= key-file= policy= state-dir= discover= v/verbose h/help V/version
end

function __fish_fence_kdumpd_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_fence_kdumpd_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_fence_kdumpd_using_subcommand
    set -l cmd (__fish_fence_kdumpd_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c fence_kdumpd -n "__fish_fence_kdumpd_needs_command" -s c -l config -d 'The configuration (TOML); without it and the options that stand in its place, /etc/fence_kdump/fence_kdumpd.toml if it is there' -r -F
complete -c fence_kdumpd -n "__fish_fence_kdumpd_needs_command" -l node -d 'A node to follow and its addresses; may be given again and again' -r
complete -c fence_kdumpd -n "__fish_fence_kdumpd_needs_command" -s p -l ipport -d 'The UDP port [default: 7410]' -r
complete -c fence_kdumpd -n "__fish_fence_kdumpd_needs_command" -l key-file -d 'The file with the cluster keys: with it, only messages that are signed with a node\'s key count, unless --policy says otherwise' -r -F
complete -c fence_kdumpd -n "__fish_fence_kdumpd_needs_command" -l policy -d 'What a message has to prove: "plain", "signed" or "live"' -r
complete -c fence_kdumpd -n "__fish_fence_kdumpd_needs_command" -l state-dir -d 'Where it is remembered what was heard, so that no signed message counts twice, and what happened [default: /var/lib/fence_kdump]' -r -F
complete -c fence_kdumpd -n "__fish_fence_kdumpd_needs_command" -l discover -d 'Show so many sources that are no node\'s as candidates; they are never believed' -r
complete -c fence_kdumpd -n "__fish_fence_kdumpd_needs_command" -s v -l verbose -d 'Say more: one line for each datagram'
complete -c fence_kdumpd -n "__fish_fence_kdumpd_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fence_kdumpd -n "__fish_fence_kdumpd_needs_command" -s V -l version -d 'Print version'
complete -c fence_kdumpd -n "__fish_fence_kdumpd_needs_command" -f -a "check-config" -d 'Read a configuration and all files that it names, say what is wrong, and start nothing'
complete -c fence_kdumpd -n "__fish_fence_kdumpd_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c fence_kdumpd -n "__fish_fence_kdumpd_using_subcommand check-config" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fence_kdumpd -n "__fish_fence_kdumpd_using_subcommand help; and not __fish_seen_subcommand_from check-config help" -f -a "check-config" -d 'Read a configuration and all files that it names, say what is wrong, and start nothing'
complete -c fence_kdumpd -n "__fish_fence_kdumpd_using_subcommand help; and not __fish_seen_subcommand_from check-config help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
