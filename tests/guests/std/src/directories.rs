//! Directories, names and links.

use std::fs;
use std::io;
use std::path::Path;

use crate::say;

/// Lists names and kinds in a directory, sorted.
fn list(path: impl AsRef<Path>) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let kind = if entry.file_type()?.is_dir() { "dir" } else { "file" };
        names.push(format!("{kind} {}", entry.file_name().to_string_lossy()));
    }
    names.sort();
    Ok(names)
}

pub(crate) fn trees() -> io::Result<()> {
    say("create_dir_all", fs::create_dir_all("/a/b/c/d"));
    say("again", fs::create_dir_all("/a/b/c/d"));
    for i in 0..150 {
        fs::write(format!("/a/b/file-{i:03}"), format!("file {i}"))?;
    }
    say("list", list("/a/b").map(|names| (names.len(), names.first().cloned(), names.last().cloned())));
    let total =
        fs::read_dir("/a/b")?.map(|entry| entry.and_then(|entry| entry.metadata()).map(|about| about.len()));
    let files = total.collect::<io::Result<Vec<_>>>()?;
    say("entries", Ok(files.len()));
    say("rename", fs::rename("/a/b", "/moved"));
    say("list again", list("/moved").map(|names| names.len()));
    say("remove_dir of one that is not empty", fs::remove_dir("/moved"));
    say("remove_dir_all", fs::remove_dir_all("/moved"));
    say("root", list("/"));
    Ok(())
}

pub(crate) fn names() -> io::Result<()> {
    fs::write("/one", "content")?;
    say("hard_link", fs::hard_link("/one", "/two"));
    say("remove the first", fs::remove_file("/one"));
    say("read the second", fs::read_to_string("/two"));
    say("rename", fs::rename("/two", "/three"));
    fs::write("/four", "other")?;
    say("rename over", fs::rename("/four", "/three"));
    say("content", fs::read_to_string("/three"));
    say("exists", fs::exists("/three"));
    say("exists no more", fs::exists("/four"));
    say("list", list("/"));
    let file = fs::File::options().read(true).write(true).open("/three")?;
    fs::remove_file("/three")?;
    say("unlinked and open", io::read_to_string(file));
    Ok(())
}

pub(crate) fn errors() -> io::Result<()> {
    fs::create_dir("/dir")?;
    fs::write("/file", "content")?;
    fs::write("/dir/inner", "content")?;
    say("create_dir", fs::create_dir("/dir"));
    say("create_dir over a file", fs::create_dir("/file"));
    say("create_dir_all through a file", fs::create_dir_all("/file/x"));
    say("read_dir of a file", list("/file"));
    say("read_dir of nothing", list("/missing"));
    say("remove_file of a directory", fs::remove_file("/dir"));
    say("remove_dir of a file", fs::remove_dir("/file"));
    say("remove_file of nothing", fs::remove_file("/missing"));
    say("rename a directory into itself", fs::rename("/dir", "/dir/inner/x"));
    say("rename a file over a directory", fs::rename("/file", "/dir"));
    say("rename a directory over a file", fs::rename("/dir", "/file"));
    say("hard_link of a directory", fs::hard_link("/dir", "/other"));
    say("hard_link over a file", fs::hard_link("/file", "/dir/inner"));
    say("metadata of nothing", fs::metadata("/missing").map(drop));
    say("read_link of a file", fs::read_link("/file"));
    Ok(())
}
