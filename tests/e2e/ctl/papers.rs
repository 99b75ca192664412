//! What is installed beside the programs.

use super::LIMIT;
use fence_kdump_tests::{Need, Run, programs, requires};

#[test]
fn the_man_pages_are_sound() {
    if !requires(&[Need::Mandoc]) {
        return;
    }
    for name in ["fence_kdumpctl.8", "fence_kdumpd.8"] {
        let page = programs::workspace().join("dist/man").join(name);
        let lint = Run::new("mandoc").args(["-T", "lint", "-W", "warning"]).arg(&page).run(LIMIT);
        assert!(lint.stdout.is_empty(), "{lint}");
        let _ = lint.expect_success();
        let shown = Run::new("mandoc").args(["-T", "ascii"]).arg(&page).run(LIMIT).expect_success();
        // Bold is letter, backspace, letter.
        let mut text = String::new();
        for it in shown.stdout.chars() {
            if it == '\u{8}' {
                let _ = text.pop();
            } else {
                text.push(it);
            }
        }
        for section in
            ["NAME", "SYNOPSIS", "DESCRIPTION", "FILES", "EXIT STATUS", "EXAMPLES", "SEE ALSO"]
        {
            assert!(text.lines().any(|line| line == section), "{name}: {section}: {text}");
        }
    }
}

/// What bash offers after these words, when the last one is begun.
fn offered(program: &str, words: &str) -> Vec<String> {
    let script = r#"
        set -e
        source "$1"
        read -ra COMP_WORDS <<<"$3"
        case $3 in *" ") COMP_WORDS+=("") ;; esac
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        "_$2" "$2" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let file = programs::workspace().join("dist/completions").join(format!("{program}.bash"));
    let run = Run::new("bash").args(["-c", script, "bash"]).arg(file).args([program, words]);
    run.run(LIMIT).expect_success().stdout.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes() {
    let all = offered("fence_kdumpctl", "fence_kdumpctl ");
    for word in ["status", "watch", "history", "wait", "nodes", "key", "decode"] {
        assert!(all.iter().any(|offer| offer == word), "{word}: {all:?}");
    }
    assert_eq!(offered("fence_kdumpctl", "fence_kdumpctl wait n1 --fr"), ["--fresh"]);
    assert_eq!(offered("fence_kdumpctl", "fence_kdumpctl wait --state fin"), ["finished"]);
    assert_eq!(offered("fence_kdumpd", "fence_kdumpd che"), ["check-config"]);
    assert_eq!(offered("fence_kdumpd", "fence_kdumpd --state"), ["--state-dir"]);
}
