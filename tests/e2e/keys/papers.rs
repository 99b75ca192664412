//! What is installed beside the program: its man page and the completions of shells.

use super::LIMIT;
use fence_kdump_tests::{Need, Run, programs, requires};

#[test]
fn the_man_page_is_sound() {
    if !requires(&[Need::Mandoc]) {
        return;
    }
    let page = programs::workspace().join("dist/man/fence_kdumpctl.8");
    let lint = Run::new("mandoc").args(["-T", "lint", "-W", "warning"]).arg(&page).run(LIMIT);
    assert!(lint.stdout.is_empty(), "{lint}");
    let _ = lint.expect_success();
}

/// What bash offers after these words, when the last one is begun.
fn offered(words: &str) -> Vec<String> {
    let script = r#"
        set -e
        source "$1"
        read -ra COMP_WORDS <<<"$2"
        case $2 in *" ") COMP_WORDS+=("") ;; esac
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _fence_kdumpctl fence_kdumpctl "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let completions = programs::workspace().join("dist/completions/fence_kdumpctl.bash");
    let run = Run::new("bash").args(["-c", script, "bash"]).arg(completions).arg(words).run(LIMIT);
    run.expect_success().stdout.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_and_options() {
    let key = offered("fence_kdumpctl key ");
    for word in ["new", "derive", "list", "rotate"] {
        assert!(key.iter().any(|offer| offer == word), "{word}: {key:?}");
    }
    assert_eq!(offered("fence_kdumpctl key ro"), ["rotate"]);
    assert_eq!(offered("fence_kdumpctl key rotate --fi"), ["--finish"]);
    assert_eq!(offered("fence_kdumpctl dec"), ["decode"]);
}
