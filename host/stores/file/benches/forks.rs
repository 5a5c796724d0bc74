//! Times many forks of one volume in one store of a directory:
//! `cargo bench -p kvfs-file-store --bench forks -- DIR [FORKS]`. DIR must not be there yet; on a tmpfs
//! the times are the store's own. Prints ten slices, what each fork of them took, wrote and read.

#[cfg(unix)]
mod plain;

#[cfg(unix)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    forks::run()
}

#[cfg(not(unix))]
fn main() {}

#[cfg(unix)]
mod forks {
    use crate::plain::{Counts, Plain};
    use kvfs::volumes::{self, Taken};
    use kvfs::{Access, At, Clock, Error, Follow, OpenFlags, Options, Timestamp, Volume};
    use kvfs_file_store::FileStore;
    use std::time::{Duration, Instant};

    const SLICES: usize = 10;
    const FORKS: usize = 100_000;
    const FILES: usize = 10;

    /// Each look at it is a nanosecond later.
    struct Ticking(u32);

    impl Clock for Ticking {
        fn now(&mut self) -> Timestamp {
            self.0 += 1;
            Timestamp { seconds: 0, nanoseconds: self.0 % 1_000_000_000 }
        }
    }

    /// Makes the volume `main` with some files.
    fn fill(store: FileStore<Plain>) -> Result<(), Error> {
        let options = Options { volume: "main".into(), ..Options::default() };
        let mut volume = Volume::open(Box::new(store), Box::new(Ticking(0)), options)?;
        let root = volume.root()?;
        let create = OpenFlags { create: true, ..OpenFlags::default() };
        let access = Access { write: true, ..Access::default() };
        for number in 0..FILES {
            let file = volume.open_at(&root, &format!("f{number}"), Follow::No, create, access)?;
            volume.write(&file, At::Offset(0), b"one")?;
            volume.close(file)?;
        }
        volume.close(root)?;
        volume.sync_all()
    }

    pub(crate) fn run() -> Result<(), Box<dyn std::error::Error>> {
        // Cargo passes `--bench`.
        let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
        let Some(path) = arguments.next() else {
            println!("a directory to make is asked for: cargo bench --bench forks -- DIR [FORKS]");
            return Ok(());
        };
        let count = arguments.next().map_or(Ok(FORKS), |count| count.parse())?;
        std::fs::create_dir(&path)?;
        let directory = Plain::new(&path);
        fill(FileStore::open(directory.clone())?)?;
        let mut store = FileStore::open(directory.clone())?;
        let mut clock = Ticking(1_000);
        volumes::fork(&mut store, &mut clock, "main", "base", Taken::ReadOnly)?;
        for slice in 0..SLICES {
            let before = directory.counts();
            let (mut spent, mut longest) = (Duration::ZERO, Duration::ZERO);
            for number in 0..count / SLICES {
                let to = format!("fork {slice}-{number:07}");
                let start = Instant::now();
                volumes::fork(&mut store, &mut clock, "base", &to, Taken::Writable)?;
                let time = start.elapsed();
                spent += time;
                longest = longest.max(time);
            }
            let Counts { calls, written_bytes, read_bytes, reads, syncs, statuses } =
                directory.counts().since(&before);
            let forks = (count / SLICES) as f64;
            let each = |of: u64| of as f64 / forks;
            println!(
                "slice {slice}: {:7.1} µs a fork, longest {:8.1} ms; of each fork {:5.1} changing calls, {:5.1} syncs, \
                 {:5.1} looks at leases, {:7.0} bytes written, {:5.1} reads of {:7.0} bytes",
                spent.as_secs_f64() * 1e6 / forks,
                longest.as_secs_f64() * 1e3,
                each(calls),
                each(syncs),
                each(statuses),
                each(written_bytes),
                each(reads),
                each(read_bytes),
            );
        }
        std::fs::remove_dir_all(&path)?;
        Ok(())
    }
}
