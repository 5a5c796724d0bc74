//! What tables cost. `cargo test -p kvfs-file-store --lib measure -- --ignored --nocapture`

use super::{built, extent_key, open};
use crate::table::tests::Places;
use crate::table::{Caching, Place};
use kvfs_store_rig::Random;
use std::time::Instant;

#[test]
fn an_entry_of_the_file_system_takes_few_bytes() {
    let (streamed, scattered) = (bytes_per_entry(true), bytes_per_entry(false));
    assert!(streamed < 11.5, "{streamed} bytes for an extent that was written in order");
    assert!(scattered < 17.0, "{scattered} bytes for one that was not");
}

fn extents(in_order: bool, count: u64) -> Places {
    let mut random = Random::new(1);
    let place = |index: u64, random: &mut Random| {
        let number = if in_order { index } else { random.below(1 << 24) };
        Place::At { epoch: 300, offset: number * 32_900, length: 32_784 }
    };
    (0..count).map(|index| (extent_key(index / 4096, index % 4096), place(index, &mut random))).collect()
}

fn bytes_per_entry(in_order: bool) -> f64 {
    let count = 100_000;
    built(1, &extents(in_order, count)).1.size_bytes as f64 / count as f64
}

#[test]
#[ignore = "prints times, which nothing can assert"]
fn print_costs() {
    for (what, in_order) in [("extents in order", true), ("extents written at random", false)] {
        let count = 2_000_000;
        let places = extents(in_order, count);
        let begun = Instant::now();
        let (file, told) = built(1, &places);
        let per = |begun: Instant, calls: u64| begun.elapsed().as_nanos() as f64 / calls as f64;
        let build = per(begun, count);
        let size = told.size_bytes as f64 / count as f64;
        println!("{what}: {size:.2} bytes an entry, building {build:.0} ns an entry");
        for (cache, bytes) in [("all cached", 256 << 20), ("nothing cached", 0)] {
            let table = open(&file, 1, bytes).unwrap();
            let mut random = Random::new(2);
            let mut get = |calls: u64| {
                let begun = Instant::now();
                for _ in 0..calls {
                    let index = random.below(count);
                    let key = extent_key(index / 4096, index % 4096);
                    assert!(table.get(&key).unwrap().is_some());
                }
                per(begun, calls)
            };
            get(500_000);
            println!("  get, {cache}: {:.0} ns", get(500_000));
        }
        let table = open(&file, 1, 0).unwrap();
        let begun = Instant::now();
        assert_eq!(table.range(b"", b"", Caching::Pass).count() as u64, count);
        println!("  reading all: {:.0} ns an entry", per(begun, count));
        let begun = Instant::now();
        for _ in 0..1000 {
            open(&file, 1, 0).unwrap();
        }
        println!("  opening: {:.0} ns", per(begun, 1000));
    }
}
