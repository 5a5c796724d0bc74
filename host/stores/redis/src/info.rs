//! What a server says of itself, and whether it can hold a store.

use kvfs_contract::in_a_line;

/// How a server keeps what is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// It does not: a crash loses the last changes, or all.
    Nothing,
    /// `WAITAOF` waits until the log is on disk.
    WhenAsked,
    /// The log is on disk before an answer is sent.
    Always,
}

/// The oldest version that is taken: older ones refuse scripts that say whether they write.
const OLDEST: (u32, u32) = (7, 0);

/// The first version with `WAITAOF`.
const WAITS: (u32, u32) = (7, 2);

/// Versions from the first one on and before the second whose `WAITAOF` answers before the log is on
/// disk, if the log is synced every second: <https://github.com/redis/redis/pull/13793>.
const WAITS_TOO_SHORT: [(u32, u32); 2] = [(7, 4), (8, 0)];

/// Reads the answer of `INFO`, and the settings `appendfsync` and `no-appendfsync-on-rewrite` as far
/// as the server tells them. An error is one line.
pub(crate) fn look(info: &str, appendfsync: &str, pauses: &str) -> Result<Keeps, String> {
    let field = |name: &str| {
        let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.map(str::trim).unwrap_or_default()
    };
    let version = field("redis_version");
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    let number = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if number < OLDEST {
        return Err(format!("Redis {} is too old; use Redis 7.0 or newer, or Valkey", in_a_line(version)));
    }
    if field("role") != "master" {
        return Err("it follows another server and may be behind; connect to the primary".to_owned());
    }
    let policy = field("maxmemory_policy");
    if field("maxmemory") != "0" && policy != "noeviction" {
        return Err(format!(
            "with maxmemory-policy {} it drops files when memory is short; set maxmemory-policy to noeviction",
            in_a_line(policy)
        ));
    }
    if field("aof_enabled") != "1" || pauses != "no" {
        return Ok(Keeps::Nothing);
    }
    Ok(match appendfsync {
        "always" => Keeps::Always,
        // Valkey 8.0 answers too early as well; no version of it is known that does not.
        "everysec" if !field("valkey_version").is_empty() || field("server_name") == "valkey" => {
            Keeps::Nothing
        }
        "everysec" if number >= WAITS_TOO_SHORT[0] && number < WAITS_TOO_SHORT[1] => Keeps::Nothing,
        "everysec" if number >= WAITS => Keeps::WhenAsked,
        _ => Keeps::Nothing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(changed: &[(&str, &str)]) -> String {
        let usual = [
            ("redis_version", "7.2.4"),
            ("role", "master"),
            ("maxmemory", "0"),
            ("maxmemory_policy", "noeviction"),
            ("aof_enabled", "1"),
        ];
        let added = changed.iter().filter(|(name, _)| !usual.iter().any(|(known, _)| known == name));
        let added = added.map(|(name, value)| format!("{name}:{value}\r\n")).collect::<String>();
        let value =
            |name, usual| changed.iter().find(|(known, _)| *known == name).map_or(usual, |(_, value)| *value);
        usual.map(|(name, usual)| format!("{name}:{}\r\n", value(name, usual))).concat() + &added
    }

    #[test]
    fn what_is_durable_depends_on_version_and_settings() {
        let keeps = |version, aof, appendfsync, pauses| {
            look(&info(&[("redis_version", version), ("aof_enabled", aof)]), appendfsync, pauses).unwrap()
        };
        assert_eq!(keeps("7.2.4", "1", "everysec", "no"), Keeps::WhenAsked);
        assert_eq!(keeps("8.0.0", "1", "everysec", "no"), Keeps::WhenAsked);
        for wrong in ["7.4.0", "7.4.2"] {
            assert_eq!(keeps(wrong, "1", "everysec", "no"), Keeps::Nothing);
            assert_eq!(keeps(wrong, "1", "always", "no"), Keeps::Always);
        }
        for sign in [("valkey_version", "8.0.1"), ("server_name", "valkey")] {
            assert_eq!(look(&info(&[sign]), "everysec", "no"), Ok(Keeps::Nothing));
            assert_eq!(look(&info(&[sign]), "always", "no"), Ok(Keeps::Always));
        }
        assert_eq!(keeps("7.0.15", "1", "everysec", "no"), Keeps::Nothing);
        assert_eq!(keeps("7.0.15", "1", "always", "no"), Keeps::Always);
        assert_eq!(keeps("7.2.4", "1", "no", "no"), Keeps::Nothing);
        assert_eq!(keeps("7.2.4", "0", "always", "no"), Keeps::Nothing);
        assert_eq!(keeps("7.2.4", "1", "always", "yes"), Keeps::Nothing);
        // A server that does not tell its settings.
        assert_eq!(keeps("7.2.4", "1", "", ""), Keeps::Nothing);
    }

    #[test]
    fn servers_that_cannot_hold_a_store_are_refused_with_a_remedy() {
        for (changed, part) in [
            (("redis_version", "6.2.14"), "7.0 or newer"),
            (("role", "slave"), "primary"),
            (("redis_version", ""), "too old"),
            (("redis_version", "6\u{1b}[2J"), "6[2J is too old"),
        ] {
            let why = look(&info(&[changed]), "always", "no").unwrap_err();
            assert!(why.contains(part) && !why.contains('\n'), "{why}");
        }
        let full =
            |policy| look(&info(&[("maxmemory", "1000"), ("maxmemory_policy", policy)]), "always", "no");
        assert_eq!(full("noeviction"), Ok(Keeps::Always));
        for policy in ["allkeys-lru", "volatile-ttl"] {
            assert!(full(policy).unwrap_err().contains("noeviction"));
        }
    }
}
