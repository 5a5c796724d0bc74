//! `kvfs mount` by a user that is not root, and other users at the door.
//!
//! Each test runs a script in a mount namespace of its own, where `/dev/fuse` is open to everybody and
//! `/etc/fuse.conf` is the test's. That needs root.

use super::mounted::has_fuse;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Makes the namespace ready. User 65534 has the directories `home` and `on`; the file `conf` is the
/// configuration of fusermount3. `start` mounts as a user and waits, `stop` ends it by an interrupt.
const PREPARE: &str = r#"
mkdir home on own
chown 65534 home on
touch kvfs conf said
mount --bind "$KVFS" kvfs && mount -t tmpfs none own && mknod own/fuse c 10 229 && chmod 666 own/fuse &&
    mount --bind own/fuse /dev/fuse && mount --bind conf /etc/fuse.conf ||
    { echo "not tested: no namespace of mounts can be made here"; exit 0; }
export HOME="$PWD/home"
as() { user=$1; shift; setpriv --reuid="$user" --regid="$user" --clear-groups "$@"; }
mount_as() { user=$1; shift; as "$user" ./kvfs mount --store file:home/s "$@" on; }
start() {
    user=$1; shift
    : >said
    setpriv --reuid="$user" --regid="$user" --clear-groups ./kvfs mount --store file:home/s "$@" on >said &
    mount=$!
    until grep -q "is mounted on" said; do
        kill -0 "$mount" || { echo "it did not mount"; exit 1; }
        sleep 0.05
    done
}
stop() { kill -INT "$mount"; wait "$mount"; echo "ended with $?"; }
"#;

/// Returns the lines that a script writes, unless it cannot be run here.
fn run(script: &str) -> Option<Vec<String>> {
    if !has_fuse() {
        return None;
    }
    for (program, path) in [
        ("unshare", "/usr/bin/unshare"),
        ("setpriv", "/usr/bin/setpriv"),
        ("fusermount3", "/usr/bin/fusermount3"),
        ("fuse.conf", "/etc/fuse.conf"),
    ] {
        if !Path::new(path).exists() {
            println!("not tested: {program} is not installed");
            return None;
        }
    }
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    if !is_root {
        println!("not tested: a namespace of mounts needs root");
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let output = Command::new("timeout")
        .args(["-s", "KILL", "60", "unshare", "-m", "bash", "-c", &format!("{PREPARE}{script}")])
        .current_dir(dir.path())
        .env("KVFS", env!("CARGO_BIN_EXE_kvfs"))
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{out}\n{err}");
    if out.starts_with("not tested") {
        println!("{out}");
        return None;
    }
    Some(out.lines().map(str::to_owned).collect())
}

#[test]
fn a_user_mounts_for_that_user_alone() {
    let Some(lines) = run(r#"
        start 65534
        as 65534 sh -c 'echo text >on/file; mkdir on/dir; stat -c "%u %g %a" on/file on/dir; cat on/file'
        cat on/file 2>&1
        as 1 ls on 2>&1 | tail -1
        stop
        as 65534 ./kvfs cat --store file:home/s file
        start 65534 --read-only
        as 65534 sh -c 'cat on/file; echo more >on/file' 2>&1
        as 65534 fusermount3 -u on
        wait "$mount"; echo "ended with $?"
    "#) else {
        return;
    };
    let expected = [
        "65534 65534 644",
        "65534 65534 755",
        "text",
        "cat: on/file: Permission denied",
        "ls: cannot access 'on': Permission denied",
        "ended with 0",
        "text",
        "text",
        "sh: 1: cannot create on/file: Read-only file system",
        "ended with 0",
    ];
    // Shells number lines and word errors each in their own way.
    let plain = |line: &String| line.contains("Read-only file system") && line.contains("on/file");
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line == expected || expected.ends_with("file system") && plain(line), "{lines:#?}");
    }
}

#[test]
fn regression_a_failed_unmount_is_told_once_with_what_to_do() {
    let Some(lines) = run(r#"
        exec 3>&2 2>err
        start 65534
        exec 2>&3
        as 65534 sh -c 'echo text >on/file'
        mount --bind /dev/null /usr/bin/fusermount3
        stop
        grep -c . err
        grep "cannot unmount" err | grep -o "run .umount -l. or .fusermount3 -uz. on it"
        umount /usr/bin/fusermount3
        as 65534 fusermount3 -uz on
        as 65534 ./kvfs cat --store file:home/s file
    "#) else {
        return;
    };
    let expected = ["ended with 1", "1", "run `umount -l` or `fusermount3 -uz` on it", "text"];
    assert_eq!(lines, expected);
}

#[test]
fn a_mount_that_loses_changes_and_cannot_be_unmounted_tells_both_on_one_line() {
    let Some(lines) = run(r#"
        exec 3>&2 2>err
        start 65534
        exec 2>&3
        as 65534 mkdir on/dir
        echo taken | as 65534 ./kvfs put --store file:home/s - file
        mount --bind /dev/null /usr/bin/fusermount3
        stop
        grep -c "could be stored: .*; then cannot unmount .*; run .umount -l. or .fusermount3 -uz. on it" err
        grep -c "cannot unmount" err
    "#) else {
        return;
    };
    assert_eq!(lines, ["ended with 1", "1", "1"]);
}

#[test]
fn set_up_installs_what_these_tests_need_where_it_is_missing() {
    let Some(lines) = run(&format!(
        r#"
        mkdir bin
        printf '#!/bin/sh\necho "$*" >>asked\n[ "$1" = update ] || umount /usr/bin/fusermount3\n' >bin/apt-get
        chmod +x bin/apt-get
        place=$PWD
        sed -i "s,asked,$place/asked," bin/apt-get
        set_up() {{ PATH="$place/bin:$PATH" KVFS_CACHE="$place/cache" "{}/../../.ci/setup" mounts; }}
        set_up
        mount --bind /dev/null /usr/bin/fusermount3
        set_up
        grep -c "install.* fuse3$" asked
        "#,
        env!("CARGO_MANIFEST_DIR")
    )) else {
        return;
    };
    let expected = [
        "fuse3: already there: /usr/bin/fusermount3",
        "  installing with apt-get: fuse3",
        "fuse3: installed: /usr/bin/fusermount3",
        "1",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn other_users_enter_where_they_are_let_in() {
    let Some(lines) = run(r#"
        echo user_allow_other >conf
        start 65534 -o nosuid,allow_other
        as 65534 sh -c 'echo text >on/file'
        as 1 cat on/file
        as 1 touch on/other 2>&1 | grep -o "Permission denied"
        cat on/file
        stop
        chown -R 0:0 home
        start 0
        as 65534 ls on 2>&1 | tail -1 | grep -o "Permission denied"
        stop
        start 0 --allow-other -o rw,ro --file-mode 666
        as 65534 cat on/file
        as 65534 sh -c 'echo more >on/file' 2>&1 | grep -o "Read-only file system"
        stop
        start 0 --allow-other -o ro,rw --file-mode 666
        as 65534 sh -c 'echo more >on/file; cat on/file'
        as 65534 touch on/other 2>&1 | grep -o "Permission denied"
        stop
    "#) else {
        return;
    };
    let expected = [
        "text",
        "Permission denied",
        "text",
        "ended with 0",
        "Permission denied",
        "ended with 0",
        "text",
        "Read-only file system",
        "ended with 0",
        "more",
        "Permission denied",
        "ended with 0",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_mount_that_a_user_may_not_make_is_one_line() {
    let Some(lines) = run(r#"
        mount_as 65534 --allow-other 2>&1; echo "$?"
        mkdir of_root
        as 65534 ./kvfs mount --store file:home/s of_root 2>&1; echo "$?"
        chmod 600 own/fuse
        mount_as 65534 2>&1; echo "$?"
        chmod 666 own/fuse
        mount --bind /dev/null /usr/bin/fusermount3
        mount_as 65534 2>&1; echo "$?"
        mount_as 65534 -o suid 2>&1 | head -1
        grep -c " $PWD/on " /proc/self/mounts || true
    "#) else {
        return;
    };
    let expected = [
        "add the line `user_allow_other`",
        "1",
        "on a directory of yours",
        "1",
        "cannot open /dev/fuse: Permission denied",
        "1",
        "with fusermount3 (package `fuse3`)",
        "1",
        "invalid value 'suid'",
        "0",
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.contains(expected), "{expected:?}: {lines:#?}");
    }
}
