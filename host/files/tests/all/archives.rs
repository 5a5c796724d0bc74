//! Tars.

use super::{files, quiet, seen};
use kvfs::{At, Follow, SetTime, Timestamp};
use kvfs_files::{Compression, Files, FilesError, Loss};
use std::io::Cursor;
use std::ops::ControlFlow;
use std::process::Command;

fn filled() -> Files {
    let mut files = files();
    let long = "l".repeat(120);
    files.make_directories(&format!("t/d/{long}/e")).unwrap();
    files.write("t/d/f", &[9; 70_000]).unwrap();
    files.write(&format!("t/d/{long}/e/{long}"), b"deep").unwrap();
    files.link("t/d/f", &format!("t/d/{long}/z")).unwrap();
    files.symlink(&"x/".repeat(80), "t/s").unwrap();
    files.write("t/empty", b"").unwrap();
    files.write("t/é\u{1f600}", "ü".as_bytes()).unwrap();
    files.write_at("t/holes", At::Offset(1 << 22), b"middle").unwrap();
    files.set_size("t/holes", 1 << 23).unwrap();
    files.write("t/hole", b"").unwrap();
    files.set_size("t/hole", 1 << 20).unwrap();
    for (number, path) in ["t/d/f", "t/s", "t/holes", "t/d", "t"].into_iter().enumerate() {
        let time = Timestamp { seconds: number as i64 * 1_000_000_007 - 3, nanoseconds: 1 + number as u32 };
        files.set_times(path, Follow::No, SetTime::Keep, SetTime::At(time)).unwrap();
    }
    files
}

fn tar(files: &mut Files, compression: Compression) -> Vec<u8> {
    let mut bytes = Vec::new();
    files.export_tar("t", &mut bytes, compression, &mut quiet).unwrap();
    bytes
}

#[test]
fn a_tar_brings_back_what_it_was_made_of() {
    let mut one = filled();
    let expected = seen(&mut one, "t");
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let bytes = tar(&mut one, compression);
        assert!(bytes.len() < 400_000, "holes are in it");
        let mut two = files();
        let report = two.import_tar(Cursor::new(bytes.clone()), "/t", &mut quiet).unwrap();
        assert_eq!((report.files, report.symlinks, report.hard_links), (6, 1, 1), "{report:?}");
        assert!(report.bytes < 200_000 && report.lost().count() == 0, "{report:?}");
        assert_eq!(seen(&mut two, "t"), expected);
        let again = two.import_tar(Cursor::new(bytes), "/t", &mut quiet).unwrap();
        assert_eq!((again.files, again.unchanged, again.bytes), (0, 8, 0), "{again:?}");
        assert_eq!(seen(&mut two, "t"), expected);
    }
}

/// GNU tar and this project unpack and pack the same.
#[cfg(unix)]
#[test]
fn gnu_tar_reads_and_writes_the_same() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().unwrap();
    let mut one = filled();
    std::fs::write(dir.path().join("a.tar"), tar(&mut one, Compression::None)).unwrap();
    let run = |args: &[&str]| {
        let done = Command::new("tar").args(args).current_dir(dir.path()).output().unwrap();
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    std::fs::create_dir(dir.path().join("out")).unwrap();
    run(&["-xf", "a.tar", "-C", "out"]);
    assert!(std::fs::metadata(dir.path().join("out/holes")).unwrap().blocks() < 1_000);
    for format in ["posix", "gnu"] {
        run(&["-cf", "b.tar", "-S", "--format", format, "-C", "out", "."]);
        let mut two = files();
        let bytes = std::fs::read(dir.path().join("b.tar")).unwrap();
        let report = two.import_tar(Cursor::new(bytes), "t", &mut quiet).unwrap();
        assert!(report.bytes < 300_000, "{report:?}");
        let (found, expected) = (seen(&mut two, "t"), seen(&mut one, "t"));
        if format == "posix" {
            assert_eq!(found, expected);
        } else {
            // It has whole seconds.
            let whole = |seen: Vec<(String, String)>| -> Vec<(String, String)> {
                let cut = |what: String| what.split('.').next().unwrap().to_owned();
                seen.into_iter().map(|(path, what)| (path, cut(what))).collect()
            };
            assert_eq!(whole(found), whole(expected));
        }
    }
}

/// Cut after each block and some other lengths: an error, and no panic, however it is compressed.
#[test]
fn archives_that_are_cut_off_are_told_so_and_what_came_before_stays() {
    let mut one = filled();
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let bytes = tar(&mut one, compression);
        let step = if compression == Compression::None { 512 } else { bytes.len() / 60 + 1 };
        // The last two blocks are the end of a tar; one of them is enough.
        let most = bytes.len() - if compression == Compression::None { 1024 } else { 1 };
        let mut stayed = 0;
        for length in (0..most).step_by(step).chain([1, 511, most]) {
            let mut two = files();
            let cut = bytes[..length].to_vec();
            let error = two.import_tar(Cursor::new(cut), "t", &mut quiet).unwrap_err();
            assert!(matches!(error, FilesError::Archive { .. }), "{compression:?} {length}: {error}");
            stayed = stayed.max(seen(&mut two, "/").len());
        }
        assert!(stayed > 5, "{compression:?}: nothing stayed");
    }
}

#[test]
fn a_tar_of_zeros_is_one_of_nothing_however_it_is_compressed() {
    let blocks = |count: usize| vec![0_u8; count * 512];
    let gzip = |bytes: &[u8]| {
        let mut coder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut coder, bytes).unwrap();
        coder.finish().unwrap()
    };
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
    for count in [1, 2, 20] {
        let plain = blocks(count);
        for bytes in [gzip(&plain), zstd(&plain), plain] {
            let mut one = files();
            let report = one.import_tar(Cursor::new(bytes), "t", &mut quiet).unwrap();
            assert_eq!((report.entries(), report.bytes), (0, 0), "{count}: {report:?}");
            assert_eq!(one.list("t").unwrap(), [], "{count}");
        }
    }
    for (bytes, expected) in [
        (Vec::new(), "is empty"),
        (gzip(b""), "is empty"),
        (zstd(b""), "is empty"),
        (vec![0; 511], "is no tar"),
        ([blocks(2), vec![7; 512]].concat(), "is no tar"),
    ] {
        let error = files().import_tar(Cursor::new(bytes), "t", &mut quiet).unwrap_err();
        assert!(error.to_string().contains(expected), "{expected}: {error}");
    }
}

#[test]
fn an_export_that_is_stopped_is_no_whole_tar() {
    let mut one = filled();
    let mut bytes = Vec::new();
    let stopped = one.export_tar("t", &mut bytes, Compression::None, &mut |report| match report.files {
        3 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert!(matches!(stopped, Err(FilesError::Stopped)), "{stopped:?}");
    let error = files().import_tar(Cursor::new(bytes), "t", &mut quiet).unwrap_err();
    assert!(error.to_string().contains("after"), "{error}");
}

fn header(kind: u8, name: &str, link: &str, size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(tar::EntryType::new(kind));
    header.set_size(size);
    header.set_mode(if kind == b'5' { 0o755 } else { 0o644 });
    header.set_uid(0);
    header.set_mtime(7);
    header.set_cksum();
    header
}

fn made(entries: &[(u8, &str, &str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (kind, name, link, bytes) in entries {
        builder.append(&header(*kind, name, link, bytes.len() as u64), *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn hostile_archives_stay_in_the_volume() {
    let mut files = files();
    files.write("outside", b"keep").unwrap();
    for (entries, words) in [
        (&[(b'0', "../outside", "", &b"x"[..])][..], "a path with `..`"),
        (&[(b'0', "a/../../outside", "", b"x")], "a path with `..`"),
        (&[(b'2', "l", "../..", b""), (b'0', "l/f", "", b"x")], "leaves its volume"),
        (&[(b'2', "l", "/etc", b""), (b'0', "l/f", "", b"x")], "leaves its volume"),
        (&[(b'2', "l", "l", b""), (b'0', "l/f", "", b"x")], "symbolic links"),
        (&[(b'0', "f", "", b"x"), (b'0', "f/g", "", b"x")], "not a directory"),
        (&[(b'Z', "f", "", b"x")], "unknown kind"),
        (&[(b'0', ".", "", b"x")], "root that is no directory"),
        (&[(b'M', "f", "", b"x")], "one part of several"),
    ] {
        let error = files.import_tar(Cursor::new(made(entries)), "in", &mut quiet).unwrap_err();
        assert!(error.to_string().contains(words), "{entries:?}: {error}");
        files.remove_all("in").unwrap();
    }
    // Out of the directory, though not out of the volume.
    let link = made(&[(b'2', "l", "..", b""), (b'0', "l/f", "", b"x")]);
    assert!(files.import_tar(Cursor::new(link), "in", &mut quiet).is_err());
    assert_eq!(files.read("outside", 9).unwrap(), b"keep");
    assert!(files.find("f", Follow::No).unwrap().is_none());
    for bytes in [&b""[..], b"x", &[7; 2000], b"PK\x03\x04rest", b"\x28\xb5\x2f\xfdrest", b"\x1f\x8brest"] {
        let error = files.import_tar(Cursor::new(bytes.to_vec()), "in", &mut quiet).unwrap_err();
        assert!(matches!(error, FilesError::Archive { .. }), "{bytes:?}: {error}");
    }
}

#[test]
fn what_a_volume_cannot_hold_of_an_archive_is_named() {
    let mut files = files();
    let bytes = made(&[
        (b'3', "device", "", b""),
        (b'6', "pipe", "", b""),
        (b'1', "nowhere", "missing", b""),
        (b'0', "f", "", b"x"),
        (b'0', "kept/without/directories", "", b"x"),
        (b'1', "same", "f", b""),
        (b'1', "f", "f", b""),
    ]);
    let report = files.import_tar(Cursor::new(bytes), "/", &mut quiet).unwrap();
    let lost: Vec<_> = report.lost().map(|(loss, lost)| (loss, lost.named.join(" "))).collect();
    let expected = [(Loss::Devices, "device"), (Loss::Pipes, "pipe"), (Loss::Links, "nowhere")];
    assert_eq!(lost, expected.map(|(loss, name)| (loss, name.to_owned())));
    assert_eq!(files.stat("same", Follow::No).unwrap().nlink, 2);
    assert_eq!(files.read("kept/without/directories", 9).unwrap(), b"x");
}
