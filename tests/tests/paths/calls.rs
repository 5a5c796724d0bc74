//! The calls: words, names, endings, starting directories and ways to the tree.

/// The tree in the mounted file system: `m/w`. `up`, `upo` and `upm` lead out of the mount.
pub(super) const TREE: &str = "f d/ d/sub/ d/f e/ lf>f ld>d le>e lfs>f/ lds>d/ gone>nowhere ring>ring slash>new/ \
     up>../.. upo>../../o/ upm>../../m/w";

/// The tree beside the mount, `o`, with links into the mount.
const BESIDE: &str = "f d/ lm>../m lms>../m/ lw>../m/w lws>../m/w/ lf>../m/w/f lfs>../m/w/f/ lnew>../m/w/new \
     lnews>../m/w/new/";

/// A call, as the guest and its counterpart on Linux read it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Call {
    /// The directory where paths start, a word, and paths.
    pub(super) line: String,
    /// True if the answer depends on the mount at `m`.
    pub(super) needs_mount: bool,
}

/// Returns the lines before the calls.
pub(super) fn setup() -> String {
    format!("o={BESIDE}\nm/w={TREE}\n")
}

const NAMES: [&str; 21] = [
    "f", "d", "e", "d/sub", "d/f", "lf", "ld", "le", "lfs", "lds", "gone", "ring", "slash", "new",
    "none/new", "f/new", "ld/sub", "ld/f", "up", "upo", "upm",
];

/// Names that lead to the mounted file system, or into it by a link.
const ACROSS: [&str; 11] =
    ["m", "o/../m", "m/w/up/m", "o/lm", "o/lms", "o/lw", "o/lws", "o/lf", "o/lfs", "o/lnew", "o/lnews"];

const ENDINGS: [&str; 9] = ["", "/", "//", "/.", "/..", "/./", "/../", "/../f", "/x"];

/// The directory where paths start, and the way from there to the tree. Every call uses the first;
/// the others take turns.
const STARTS: [(&str, &str); 7] = [
    (".", "m/w/"),
    ("m/w", ""),
    (".", "o/lws/"),
    ("m", "w/"),
    (".", "m/../m/w/"),
    (".", "o/lm/w/"),
    (".", "m/w/up/m//w/"),
];

/// Words with the examined path `P`. `W/` is the way to the tree.
const WORDS: [&str; 43] = [
    "stat P",
    "lstat P",
    "readlink P",
    "open P",
    "open-nofollow P",
    "open-directory P",
    "open-write P",
    "open-truncate P",
    "create P",
    "create-nofollow P",
    "create-to-read P",
    "create-truncate P",
    "exclusive P",
    "set-times P",
    "set-times-nofollow P",
    "mkdir P",
    "rmdir P",
    "unlink P",
    "symlink P",
    "link P W/to",
    "link P W/to/",
    "link-follow P W/to",
    "link W/f P",
    "link W/none P",
    "link W/f/none P",
    "link W/d P",
    "rename P W/to",
    "rename P W/to/",
    "rename P W/none/to",
    "rename P P",
    "rename P W/d",
    "rename W/f P",
    "rename W/e P",
    "rename W/lf P",
    "rename W/none P",
    "rename W/d P",
    "rename W/d/f P",
    "rename W/d/sub P",
    // From one file system to the other.
    "link P o/to",
    "link o/f P",
    "link o/none P",
    "rename P o/to",
    "rename o/f P",
];

/// Returns all calls.
pub(super) fn calls() -> Vec<Call> {
    let mut calls = Vec::new();
    let mut turn = 0;
    for (names, across) in [(&NAMES[..], false), (&ACROSS[..], true)] {
        for (name, ending) in names.iter().flat_map(|name| ENDINGS.map(|ending| (name, ending))) {
            for word in WORDS {
                let elsewhere = word.contains(" o/");
                let add = |calls: &mut Vec<Call>, (start, to): (&str, &str)| {
                    let path = if across { format!("{name}{ending}") } else { format!("{to}{name}{ending}") };
                    let words = word.replace("W/", to).replace('P', &path);
                    let needs_mount = across || elsewhere || name.starts_with("up");
                    calls.push(Call { line: format!("{start} {words}"), needs_mount });
                };
                add(&mut calls, STARTS[0]);
                if across {
                    continue;
                }
                turn += 1;
                let other = STARTS[1 + turn % (STARTS.len() - 1)];
                // No path leaves the directory that it starts at.
                if other.0 == "." || !(elsewhere || name.starts_with("up")) {
                    add(&mut calls, other);
                }
            }
        }
    }
    calls
}
