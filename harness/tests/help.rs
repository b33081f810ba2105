//! The help is part of the product.

mod support;

use support::crossbridge;

#[test]
fn help() {
    let mut pages = String::new();
    for command in [
        &["--help"][..],
        &["replay", "--help"],
        &["explore", "--help"],
        &["compare", "--help"],
        &["check", "--help"],
        &["record", "--help"],
        &["tune", "--help"],
        &["faults", "--help"],
        &["schema", "--help"],
        &["profile", "ingest", "--help"],
        &["profile", "query", "--help"],
        &["serve", "--help"],
    ] {
        let run = crossbridge(command);
        assert_eq!(run.status.code(), Some(0), "{}", run.stderr);
        pages += &format!("$ crossbridge {}\n{}\n", command.join(" "), run.stdout);
    }
    insta::assert_snapshot!(pages);
}

#[test]
fn wrong_usage_is_exit_2_and_says_what_is_right() {
    for (command, hint) in [
        (&["repley"][..], "replay"),
        (&["replay"], "<SCENARIO>"),
        (&["replay", "x.yml", "--sed", "1"], "--seed"),
        (&["replay", "x.yml", "--seed", "one"], "one"),
        (&["check", "--format", "yaml"], "json"),
    ] {
        let run = crossbridge(command);
        assert_eq!(run.status.code(), Some(2), "{command:?}: {}", run.stderr);
        assert!(run.stderr.contains(hint), "{command:?}: {}", run.stderr);
        assert_eq!(run.stdout, "");
    }
}
