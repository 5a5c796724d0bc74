//! `std::fs::File` and the functions built on it.

use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::time::{Duration, SystemTime};

use crate::say;

pub(crate) fn reads_and_writes() -> io::Result<()> {
    say("write", fs::write("/file", "some text\nof three\nlines\n"));
    say("read", fs::read_to_string("/file"));
    say("lines", BufReader::new(File::open("/file")?).lines().collect::<io::Result<Vec<_>>>());
    let mut writer = BufWriter::new(File::create("/large")?);
    for i in 0..40_000_u32 {
        writer.write_all(&i.wrapping_mul(2_654_435_761).to_le_bytes())?;
    }
    say("flush", writer.flush());
    let bytes = fs::read("/large")?;
    let sum = bytes
        .chunks(4)
        .fold(0_u32, |sum, four| sum.rotate_left(3) ^ u32::from_le_bytes(four.try_into().unwrap()));
    say("large", Ok((bytes.len(), sum)));
    let mut file = OpenOptions::new().read(true).write(true).open("/file")?;
    let mut start = [0; 4];
    file.read_exact(&mut start)?;
    say("four bytes", Ok(String::from_utf8_lossy(&start).into_owned()));
    say("write behind them", file.write_all(b"-TEXT"));
    say("the rest", io::read_to_string(&file));
    say("all", fs::read_to_string("/file"));
    say("past the end", file.read_exact(&mut start));
    Ok(())
}

pub(crate) fn seeks() -> io::Result<()> {
    let mut file = File::options().read(true).write(true).create_new(true).open("/file")?;
    file.write_all(b"0123456789")?;
    say("start", file.seek(SeekFrom::Start(3)));
    let mut two = [0; 2];
    file.read_exact(&mut two)?;
    say("read there", Ok(two));
    say("onwards", file.seek(SeekFrom::Current(2)));
    say("back", file.seek(SeekFrom::Current(-5)));
    say("from the end", file.seek(SeekFrom::End(-1)));
    say("before the start", file.seek(SeekFrom::Current(-100)));
    say("position", file.stream_position());
    say("behind the end", file.seek(SeekFrom::End(5)));
    file.write_all(b"!")?;
    file.rewind()?;
    say("content", io::read_to_string(&file));
    let mut second = file.try_clone();
    say("clone", second.as_mut().map(|_| ()).map_err(|error| io::Error::from(error.kind())));
    Ok(())
}

pub(crate) fn options() -> io::Result<()> {
    say("missing", File::open("/missing").map(drop));
    say("create", File::create("/file")?.write_all(b"content"));
    say("create_new", File::create_new("/file").map(drop));
    say(
        "truncating",
        File::options()
            .write(true)
            .truncate(true)
            .open("/file")
            .and_then(|file| file.metadata())
            .map(|m| m.len()),
    );
    say("write to a reader", File::open("/file")?.write_all(b"x"));
    say("read from a writer", io::read_to_string(File::options().write(true).open("/file")?));
    say("nothing asked", File::options().open("/file").map(drop));
    say("append and truncate", File::options().append(true).truncate(true).open("/file").map(drop));
    say("relative", fs::write("relative", "content"));
    say("absolute", fs::read_to_string("/relative"));
    Ok(())
}

pub(crate) fn appends() -> io::Result<()> {
    fs::write("/log", "start\n")?;
    let mut one = File::options().append(true).open("/log")?;
    let mut other = File::options().append(true).read(true).open("/log")?;
    for i in 0..3 {
        writeln!(one, "one {i}")?;
        writeln!(other, "other {i}")?;
    }
    other.rewind()?;
    writeln!(other, "still at the end")?;
    say("content", fs::read_to_string("/log"));
    Ok(())
}

pub(crate) fn sizes_and_times() -> io::Result<()> {
    let mut file = File::options().read(true).write(true).create(true).truncate(true).open("/file")?;
    file.write_all(b"0123456789")?;
    say("set_len down", file.set_len(4));
    say("set_len up", file.set_len(8));
    file.rewind()?;
    say("content", io::read_to_string(&file));
    let at = SystemTime::UNIX_EPOCH + Duration::new(1_234_567_890, 987_654_321);
    say("set_times", file.set_times(FileTimes::new().set_accessed(at).set_modified(at)));
    let about = fs::metadata("/file")?;
    say("modified", about.modified().map(|time| time == at));
    say("accessed", about.accessed().map(|time| time == at));
    say("kind", Ok((about.is_file(), about.is_dir(), about.is_symlink(), about.len())));
    file.write_all(b"more")?;
    say("modified after a write", file.metadata()?.modified().map(|time| time > at));
    say("sync_all", file.sync_all());
    say("sync_data", file.sync_data());
    Ok(())
}

pub(crate) fn copies() -> io::Result<()> {
    let content: Vec<u8> = (0..300_000_u32).map(|i| (i % 241) as u8).collect();
    fs::write("/one", &content)?;
    say("copy", fs::copy("/one", "/two"));
    say("equal", fs::read("/two").map(|bytes| bytes == content));
    let mut part = File::open("/one")?.take(1000);
    say("part", io::copy(&mut part, &mut File::create("/three")?));
    say("onto itself", fs::copy("/three", "/three"));
    say("missing", fs::copy("/missing", "/four"));
    Ok(())
}

pub(crate) fn errors() -> io::Result<()> {
    fs::write("/file", "content")?;
    fs::create_dir("/dir")?;
    say("a directory read", fs::read("/dir"));
    say("a directory written", fs::write("/dir", "x"));
    say("through a file", fs::read("/file/x"));
    say("out of the root", fs::read("/../etc/passwd"));
    say("a long name", fs::write(format!("/{}", "n".repeat(300)), "x"));
    say("not UTF-8", fs::write("/bytes", [0xff, 0xfe]).and_then(|()| fs::read_to_string("/bytes")));
    say("a missing directory", fs::write("/missing/file", "x"));
    say("a name with NUL", fs::write("/nul\0", "x"));
    Ok(())
}

pub(crate) fn standard_streams() -> io::Result<()> {
    let mut file = File::create("/input")?;
    let copied = io::copy(&mut io::stdin().lock(), &mut file)?;
    say("copied", Ok(copied));
    say("lines", Ok(BufReader::new(File::open("/input")?).lines().count()));
    writeln!(io::stderr(), "to standard error")?;
    Ok(())
}
