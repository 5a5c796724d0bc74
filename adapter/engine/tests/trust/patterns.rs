//! Patterns of paths: the same answers as globset's, bounds, and what is refused.

use crate::rng::Rng;
use globset::{Glob, GlobBuilder};
use kvfs::limits::{MAX_NAME_BYTES, MAX_PATTERN_BYTES, MAX_PATTERN_NAMES};
use kvfs::{PatternError, Patterns};

fn only(pattern: &str) -> Patterns {
    let mut set = Patterns::default();
    set.add(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    set
}

fn matches(pattern: &str, path: &str) -> bool {
    only(pattern).walk(path).matched().is_some()
}

fn theirs(pattern: &str) -> Option<Glob> {
    GlobBuilder::new(pattern).literal_separator(true).backslash_escape(true).build().ok()
}

#[test]
fn patterns_match_the_paths_that_their_documentation_says() {
    for (pattern, yes, no) in [
        ("conf", &["conf"][..], &["conf/a", "a/conf", "conf2", "con"][..]),
        ("/conf/main", &["conf/main"], &["conf", "main"]),
        ("**/.env", &[".env", "a/.env", "a/b/.env"], &["env", "a/.envy", "a/.env/b"]),
        ("conf/**", &["conf/a", "conf/a/b", "conf/.x"], &["conf", "a/conf/b"]),
        ("a/**/b", &["a/b", "a/x/b", "a/x/y/b", "a/b/b"], &["a", "b", "a/b/c", "x/a/b"]),
        ("**", &["a", "a/b/c"], &[]),
        ("*.key", &[".key", "a.key"], &["a/b.key", "a.keys"]),
        ("?", &["a", "é", "*"], &["", "ab", "a/b"]),
        ("[a-c]x", &["ax", "bx", "cx"], &["dx", "-x", "x"]),
        ("[!a-c]x", &["dx", "-x", "éx"], &["ax", "x"]),
        ("[]a]", &["]", "a"], &["b"]),
        ("[a-]", &["-", "a"], &["b"]),
        ("{a,b{c,d}}.txt", &["a.txt", "bc.txt", "bd.txt"], &["b.txt", "c.txt"]),
        (r"\*\{\[", &["*{["], &["a{["]),
        ("geheim*é", &["geheimé", "geheim-é"], &["geheim"]),
    ] {
        for path in yes {
            assert!(matches(pattern, path), "`{pattern}` must match `{path}`");
        }
        for path in no {
            assert!(!matches(pattern, path), "`{pattern}` must not match `{path}`");
        }
    }
}

/// A random piece of a name, with braces up to a depth.
fn piece(rng: &mut Rng, depth: u64, out: &mut String) {
    match rng.below(14) {
        0 | 1 if !out.ends_with('*') => out.push('*'),
        2 => out.push('?'),
        3 => out.push_str(["[a-b]", "[!a]", "[ab]", "[^b.]", "[]a]", "[a-]", "[!-a]"][rng.below(7) as usize]),
        4 | 5 if depth > 0 => {
            out.push('{');
            for place in 0..1 + rng.below(3) {
                out.push_str(if place == 0 { "" } else { "," });
                // A star in front of an alternative that begins with one would be another thing.
                out.push(['a', 'b'][rng.below(2) as usize]);
                for _ in 0..rng.below(2) {
                    piece(rng, depth - 1, out);
                }
            }
            out.push('}');
        }
        6 => out.push_str(["\\a", "\\*", "\\?", "\\.", "\\\\"][rng.below(5) as usize]),
        7 => out.push('.'),
        8 => out.push('-'),
        _ => out.push(['a', 'b', 'a', 'c'][rng.below(4) as usize]),
    }
}

fn pattern(rng: &mut Rng) -> String {
    let mut out = String::new();
    for place in 0..1 + rng.below(4) {
        if place > 0 {
            out.push('/');
        }
        if rng.below(4) == 0 {
            out.push_str("**");
            continue;
        }
        for _ in 0..1 + rng.below(3) {
            piece(rng, 2, &mut out);
        }
    }
    out
}

fn path(rng: &mut Rng) -> String {
    let name = |rng: &mut Rng| -> String {
        (0..1 + rng.below(3)).map(|_| b"aabbc.-*?]\\"[rng.below(11) as usize] as char).collect()
    };
    let names: Vec<String> = (0..1 + rng.below(4)).map(|_| name(rng)).collect();
    names.join("/")
}

#[test]
fn random_patterns_match_as_globset_does() {
    let (mut compared, mut matched) = (0, 0);
    for seed in crate::shrink::seeds(400) {
        let mut rng = Rng::new(seed);
        let pattern = pattern(&mut rng);
        let (Some(theirs), mut ours) = (theirs(&pattern), Patterns::default()) else { continue };
        if let Err(error) = ours.add(&pattern) {
            let dots = pattern.split('/').any(|name| matches!(name, "." | ".." | "\\." | ".\\." | "\\.."));
            assert!(dots || pattern.contains("**"), "seed {seed}: `{pattern}` is refused: {error}");
            continue;
        }
        let theirs = theirs.compile_matcher();
        for _ in 0..200 {
            let path = path(&mut rng);
            let (expected, found) = (theirs.is_match(&path), ours.walk(&path).matched().is_some());
            assert_eq!(found, expected, "seed {seed}: does `{pattern}` match `{path}`?");
            compared += 1;
            matched += usize::from(found);
        }
    }
    assert!(compared > 10_000 && matched > compared / 50, "{matched} of {compared} matched");
}

#[test]
fn a_set_tells_the_last_pattern_that_matches() {
    for seed in crate::shrink::seeds(200) {
        let mut rng = Rng::new(seed);
        let mut set = Patterns::default();
        let mut alone = Vec::new();
        for _ in 0..1 + rng.below(12) {
            let pattern = pattern(&mut rng);
            if set.add(&pattern).is_ok() {
                alone.push((only(&pattern), pattern));
            }
        }
        for _ in 0..100 {
            let path = path(&mut rng);
            let expected = alone.iter().rposition(|(pattern, _)| pattern.walk(&path).matched().is_some());
            let patterns: Vec<&String> = alone.iter().map(|(_, pattern)| pattern).collect();
            assert_eq!(set.walk(&path).matched(), expected, "seed {seed}: `{path}` in {patterns:?}");
        }
    }
}

#[test]
fn patterns_that_cannot_be_read_are_refused_where_they_are_wrong() {
    let refused = |pattern: &str| Patterns::default().add(pattern).unwrap_err();
    for (pattern, at, what) in [
        ("", 0, "empty"),
        ("/", 1, "nothing follows the slash"),
        ("a/", 2, "nothing follows the slash"),
        ("a//b", 2, "two slashes"),
        ("a/./b", 2, "no names of files"),
        ("..", 0, "no names of files"),
        ("a**", 2, "whole names"),
        ("x/**a", 3, "whole names"),
        ("{**,a}", 2, "whole names"),
        ("[a", 2, "not closed"),
        ("[", 1, "not closed"),
        ("[z-a]", 4, "smaller one first"),
        ("[a/]", 3, "slash"),
        ("{a", 2, "not closed"),
        ("{a,", 3, "empty"),
        ("{a,}", 3, "empty"),
        ("{a/b}", 3, "slash"),
        ("a}", 1, "no `{` is open"),
        ("a\\", 2, "nothing follows the `\\`"),
        ("a\\/b", 2, "nothing follows the `\\`"),
        ("a\tb", 1, "control"),
        ("{{{{{a}}}}}", 4, "too deeply"),
    ] {
        let error = refused(pattern);
        assert!(error.at == at && error.what.contains(what), "`{pattern}`: {error}");
    }
    assert!(refused(&"a".repeat(MAX_PATTERN_BYTES + 1)).what.contains("1024"));
    assert!(refused(&"a".repeat(MAX_NAME_BYTES + 1)).what.contains("255"));
    assert!(refused(&"a".repeat(MAX_NAME_BYTES + 2)).what.contains("too long"));
    assert!(refused(&format!("{}*?", "a".repeat(127))).what.contains("too many parts"));
    assert!(refused(&format!("{{{}a}}", "a,".repeat(60))).what.contains("too many parts"));
    only(&"a".repeat(MAX_NAME_BYTES));
}

#[test]
fn a_set_has_no_more_names_than_its_bound() {
    let mut set = Patterns::default();
    for _ in 0..MAX_PATTERN_NAMES / 2 {
        set.add("**/a/**").unwrap();
    }
    let full = set.clone();
    assert!(matches!(set.add("a"), Err(PatternError { at: 0, what }) if what.contains("120")));
    assert_eq!(set, full, "a refused pattern leaves nothing behind");
    assert_eq!(set.walk("x/a/y").matched(), Some(MAX_PATTERN_NAMES as usize / 2 - 1));
}

#[test]
fn the_worst_patterns_take_bounded_time_on_the_longest_names() {
    let mut set = Patterns::default();
    let worst = format!("**/{}b", "*a".repeat(63));
    while set.add(&worst).is_ok() {}
    assert_eq!(set.len(), MAX_PATTERN_NAMES as usize);
    let name = "a".repeat(MAX_NAME_BYTES);
    let start = std::time::Instant::now();
    assert_eq!(set.walk(&name).matched(), None);
    // Each position has 127 parts, and each is looked at once a character: 4 million steps.
    assert!(start.elapsed() < std::time::Duration::from_secs(2), "{:?}", start.elapsed());
}
