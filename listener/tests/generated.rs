//! The man page and the completions of `fence_kdumpctl` come from its definition, and are as it says:
//! `UPDATE=1 cargo test -p fence-kdump --test generated` writes them anew.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;
use fence_kdump_listener::ctl::command::Options;

/// What the definition does not say.
const MORE: &str = r#".SH FILES
.TP
.I /etc/fence_kdump/cluster.key
The cluster key, on every host that listens: a line
.RI "\(oqcluster " "KEYID KEY" \(cq,
and during a rotation a second one with the previous key.
.TP
.I /etc/fence_kdump/NODE.node.key
The key of a node, as
.B key derive
writes it: a line
.RI "\(oqnode " "KEYID KEY CHECK NAME" \(cq.
.TP
.I /etc/fence_kdump/node.key
The same file where it belongs: on the node, for its crash kernel's image.
.PP
Each belongs to root, with mode 0600: a key file that others can read or change is refused everywhere.
KEYID and CHECK tell a damaged line from a whole one, and name a key without giving it away.
.SH EXIT STATUS
.TP
.B 0
Done.
.TP
.B 1
Not done; standard error says why, and what can be done.
.TP
.B 2
Wrong usage.
.SH EXAMPLES
Turn signed messages on, for node n1, then for the others:
.PP
.nf
# fence_kdumpctl key new
# ssh n2 mkdir \-pm 700 /etc/fence_kdump
# scp /etc/fence_kdump/cluster.key n2:/etc/fence_kdump/
# fence_kdumpctl key derive n1
# scp /etc/fence_kdump/n1.node.key n1:/etc/fence_kdump/node.key
.fi
.PP
The same without a file in between:
.PP
.nf
# fence_kdumpctl key derive n1 \-o \- | ssh n1 \(aqumask 077; cat >/etc/fence_kdump/node.key\(aq
.fi
.PP
Replace the cluster key, without a moment in which a node is not believed:
.PP
.nf
# fence_kdumpctl key rotate
# fence_kdumpctl key derive \-\-force n1
# fence_kdumpctl key rotate \-\-finish
.fi
.PP
with the files copied after each step as the command says.
.PP
What is in a datagram that was captured, and whether it was signed with a key of this cluster:
.PP
.nf
# echo 402a301b01000000 | fence_kdumpctl decode \-k /etc/fence_kdump/cluster.key
{"message":{"byte_order":"little","extended":false,"mac":"none"}}
.fi
.SH SEE ALSO
.BR fence_kdump (8),
.BR fence_kdump_send (8)
"#;

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace")
}

/// All that can be asked for, by the words that ask for it.
fn commands(of: &Command, words: &str) -> Vec<(String, Command)> {
    let below = of.get_subcommands().filter(|command| command.get_name() != "help");
    let mut all = Vec::new();
    for command in below {
        let words = format!("{words} {}", command.get_name());
        if command.has_subcommands() {
            all.extend(commands(command, &words));
        } else {
            // Each has it: it is told once.
            all.push((words, command.clone().mut_arg("help", |help| help.hide(true))));
        }
    }
    all
}

/// What is rendered, without the heading of the section.
fn body(render: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut text = Vec::new();
    render(&mut text).expect("memory takes everything");
    let text = String::from_utf8(text).expect("text");
    // The preamble that makes apostrophes plain stands once, at the top.
    let lines = text.lines().skip_while(|line| !line.starts_with(".SH"));
    lines.skip(1).map(|line| format!("{line}\n")).collect()
}

/// `fence_kdumpctl key list [-k FILE] [--json]`, in bold and italics.
fn synopsis(words: &str, command: &Command) -> String {
    let mut line = format!("\\fB{words}\\fR");
    for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
        let value = match arg.get_value_names() {
            Some(names) if arg.get_action().takes_values() => {
                format!("\\fI{}\\fR", names.join(" "))
            }
            Some(_) | None => String::new(),
        };
        let name = match (arg.get_short(), arg.get_long()) {
            (Some(short), _) => format!("\\fB\\-{short}\\fR "),
            (None, Some(long)) => format!("\\fB\\-\\-{}\\fR ", long.replace('-', "\\-")),
            (None, None) => String::new(),
        };
        let word = format!("{name}{value}");
        let word = word.trim_end();
        let is_required = arg.is_required_set();
        line.push_str(&if is_required { format!(" {word}") } else { format!(" [{word}]") });
    }
    line
}

fn man_page() -> String {
    let mut root = Options::command();
    root.build();
    let man = Man::new(root.clone())
        .section("8")
        .date("November 22, 2026")
        .source("fence_kdump")
        .manual("System Manager's Manual");
    let mut page = Vec::new();
    man.render_title(&mut page).expect("memory takes everything");
    let mut page = String::from_utf8(page).expect("text");
    let about = root.get_about().expect("what it is for").to_string().to_lowercase();
    page.push_str(&format!(".SH NAME\nfence_kdumpctl \\- {}\n", about.trim_end_matches('.')));
    page.push_str(".SH SYNOPSIS\n");
    let commands = commands(&root, "fence_kdumpctl");
    let lines: Vec<_> = commands.iter().map(|(words, command)| synopsis(words, command)).collect();
    page.push_str(&lines.join("\n.br\n"));
    page.push('\n');
    page.push_str(".SH DESCRIPTION\n");
    page.push_str(&body(|text| man.render_description_section(text)));
    page.push_str(".SH COMMANDS\n");
    for (words, command) in commands {
        let words = words.trim_start_matches("fence_kdumpctl ");
        page.push_str(&format!(".SS {words}\n"));
        let man = Man::new(command);
        page.push_str(&body(|text| man.render_description_section(text)));
        page.push_str(&body(|text| man.render_options_section(text)));
    }
    page.push_str(MORE);
    page
}

fn completions(shell: Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Options::command(), "fence_kdumpctl", &mut text);
    String::from_utf8(text).expect("text")
}

/// The files and what has to be in them.
fn generated() -> Vec<(PathBuf, String)> {
    [
        ("man/fence_kdumpctl.8", man_page()),
        ("completions/fence_kdumpctl.bash", completions(Shell::Bash)),
        ("completions/_fence_kdumpctl", completions(Shell::Zsh)),
        ("completions/fence_kdumpctl.fish", completions(Shell::Fish)),
    ]
    .map(|(name, text)| (workspace().join("dist").join(name), text))
    .into()
}

#[test]
fn man_page_and_completions_are_as_the_program_is() {
    for (path, text) in generated() {
        if std::env::var_os("UPDATE").is_some() {
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(&path, &text).expect("our own file");
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        let place = path.display();
        assert!(
            found == text,
            "{place}: out of date; UPDATE=1 cargo test -p fence-kdump --test generated"
        );
    }
}

/// Every command and every option is in the page.
#[test]
fn the_man_page_has_everything() {
    let page = man_page().replace("\\-", "-");
    let mut root = Options::command();
    root.build();
    for (words, command) in commands(&root, "") {
        assert!(page.contains(&format!(".SS{words}\n")), "{words}");
        let shown = command.get_arguments().filter(|option| !option.is_hide_set());
        for option in shown.filter_map(|option| option.get_long()) {
            assert!(page.contains(&format!("--{option}")), "{words} --{option}");
        }
    }
}
