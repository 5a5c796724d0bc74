//! What a volume may hold, said with its mount.

use super::{Steps, WAYS, store, tree};

#[test]
fn a_volume_holds_what_its_mount_allows_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path());
    for link in WAYS {
        // The tree has 200,000 bytes in one file, and 13 inodes.
        let limited = &["/=overlay:{},max-bytes=200100", "/small=kv:small,max-inodes=3"];
        let steps = Steps::new(link, limited, dir.path());
        let store = store();
        steps.expect(
            &store,
            &[
                ("write small/a 1", "ok"),
                ("write small/b 2", "ok"),
                ("mkdir small/c", "error quota"),
                ("cat small/a", "\"1\""),
                ("rm small/a", "ok"),
                ("mkdir small/c", "ok"),
                ("write new 0123456789", "ok"),
                ("rm large", "ok"),
                ("write lib/a 0123456789", "ok"),
            ],
        );
        // Limits stay with the volume, and another process finds them; with a mount that says more there is
        // more room.
        let same = Steps::new(link, &["/=overlay:{}", "/small=kv:small"], dir.path());
        same.expect(
            &store,
            &[
                ("mkdir small/d", "error quota"),
                ("ls small", "[DescriptorType::RegularFile b, DescriptorType::Directory c]"),
            ],
        );
        let more = Steps::new(link, &["/=overlay:{}", "/small=kv:small,max-inodes=4"], dir.path());
        more.expect(&store, &[("mkdir small/d", "ok"), ("mkdir small/e", "error quota")]);
    }
}

#[test]
fn bytes_over_the_limit_are_refused_and_what_was_there_stays() {
    let dir = tempfile::tempdir().unwrap();
    for link in WAYS {
        let steps = Steps::new(link, &["/=kv,max-bytes=10"], dir.path());
        steps.expect(
            &store(),
            &[
                ("write a 01234567", "ok"),
                ("write b 890", "error quota"),
                ("cat a", "\"01234567\""),
                ("rm a", "ok"),
                ("write c 890", "ok"),
            ],
        );
    }
}
