//! A guest in JavaScript.

#[test]
#[cfg(no_javascript)]
#[ignore = "componentize-js is missing: run `make setup` where node 20 or newer is installed"]
fn a_javascript_program_has_files_timers_and_fetch() {}

#[test]
#[cfg(not(no_javascript))]
fn a_javascript_program_has_files_timers_and_fetch() {
    let servers = super::servers::Servers::new();
    let guest = kvfs_tests::kinds::javascript().unwrap();
    let seen = super::seen_of_each_way(&guest, &[&servers.http()], &[]);
    assert_eq!(
        seen.lines(),
        [
            r#"read: "hello, streams""#,
            r#"missing: "no-entry""#,
            r#"listed: [["directory","directory"]]"#,
            "ready: [1]",
            // The spliced bytes have no newline.
            r#"hellospliced: "5""#,
            "waited: true",
            "status: 200",
            r#"kept: "100000""#,
        ]
    );
    assert_eq!(seen.get("left /directory/moved"), r#"file, 14 bytes, 1 names, "hello, streams""#);
}
