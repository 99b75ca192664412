//! The man pages and the completions of the programs come from their definitions, and are as these say:
//! `UPDATE=1 cargo test -p fence-kdump --test generated` writes them anew.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;
use fence_kdump_listener::{ctl, daemon};

/// A program, its definition, and what the definition does not say.
struct Program {
    name: &'static str,
    definition: Command,
    more: &'static str,
}

fn programs() -> [Program; 2] {
    [
        Program {
            name: "fence_kdumpctl",
            definition: ctl::command::Options::command(),
            more: include_str!("generated/fence_kdumpctl.man"),
        },
        Program {
            name: "fence_kdumpd",
            definition: daemon::Options::command(),
            more: include_str!("generated/fence_kdumpd.man"),
        },
    ]
}

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
    let text: String = lines.skip(1).map(|line| format!("{line}\n")).collect();
    // What clap_mangen puts before possible values is a paragraph too many.
    text.replace("\n.br\n\n.br\n", "\n.br\n")
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

/// Those of the program itself, not of its commands; --help and --version explain themselves.
fn own_options(root: &Command) -> Option<Command> {
    let mut own = root.clone();
    for name in ["help", "version"] {
        own = own.mut_arg(name, |option| option.hide(true));
    }
    let has_some = own.get_arguments().any(|option| !option.is_hide_set());
    has_some.then_some(own)
}

fn man_page(program: &Program) -> String {
    let Program { name, definition, more } = program;
    let mut root = definition.clone();
    root.build();
    let man = Man::new(root.clone())
        .section("8")
        .date("November 22, 2026")
        .source("fence_kdump")
        .manual("System Manager's Manual");
    let mut page = Vec::new();
    man.render_title(&mut page).expect("memory takes everything");
    let mut page = String::from_utf8(page).expect("text");
    let about = root.get_about().expect("what it is for").to_string();
    let mut about = about.trim_end_matches('.').to_owned();
    about.get_mut(..1).expect("a letter").make_ascii_lowercase();
    page.push_str(&format!(".SH NAME\n{name} \\- {about}\n"));
    page.push_str(".SH SYNOPSIS\n");
    let own = own_options(&root);
    let commands = commands(&root, name);
    let lines = own.iter().map(|own| synopsis(name, own));
    let lines = lines.chain(commands.iter().map(|(words, command)| synopsis(words, command)));
    page.push_str(&lines.collect::<Vec<_>>().join("\n.br\n"));
    page.push('\n');
    page.push_str(".SH DESCRIPTION\n");
    page.push_str(&body(|text| man.render_description_section(text)));
    if let Some(own) = own {
        page.push_str(".SH OPTIONS\n");
        page.push_str(&body(|text| Man::new(own).render_options_section(text)));
    }
    page.push_str(".SH COMMANDS\n");
    for (words, command) in commands {
        let words = words.trim_start_matches(name).trim_start();
        page.push_str(&format!(".SS {words}\n"));
        let has_more = command.get_after_help().is_some();
        let man = Man::new(command);
        page.push_str(&body(|text| man.render_description_section(text)));
        page.push_str(&body(|text| man.render_options_section(text)));
        if has_more {
            page.push_str(".PP\n");
            page.push_str(&body(|text| man.render_extra_section(text)));
        }
    }
    page.push_str(more);
    page
}

fn completions(program: &Program, shell: Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut program.definition.clone(), program.name, &mut text);
    String::from_utf8(text).expect("text")
}

/// The files and what has to be in them.
fn generated() -> Vec<(PathBuf, String)> {
    let of_program = |program: Program| {
        let name = program.name;
        [
            (format!("man/{name}.8"), man_page(&program)),
            (format!("completions/{name}.bash"), completions(&program, Shell::Bash)),
            (format!("completions/_{name}"), completions(&program, Shell::Zsh)),
            (format!("completions/{name}.fish"), completions(&program, Shell::Fish)),
        ]
    };
    let files = programs().into_iter().flat_map(of_program);
    files.map(|(name, text)| (workspace().join("dist").join(name), text)).collect()
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
fn the_man_pages_have_everything() {
    for program in programs() {
        let page = man_page(&program).replace("\\-", "-");
        let mut root = program.definition.clone();
        root.build();
        let own = own_options(&root).map(|own| (String::new(), own));
        for (words, command) in own.into_iter().chain(commands(&root, "")) {
            assert!(words.is_empty() || page.contains(&format!(".SS{words}\n")), "{words}");
            let shown = command.get_arguments().filter(|option| !option.is_hide_set());
            for option in shown.filter_map(|option| option.get_long()) {
                assert!(page.contains(&format!("--{option}")), "{words} --{option}");
            }
        }
    }
}
