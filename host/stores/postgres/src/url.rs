//! Where the store is: from a URL and the environment to a [`Config`].

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::config::{Host, SslMode};

use crate::passfile;

/// Longest name of a table. PostgreSQL cuts names at 63 bytes, and the table of sessions has a
/// longer name.
const MAX_TABLE_BYTES: usize = 63 - SESSIONS.len();

/// What follows the table's name in that of the table of sessions.
const SESSIONS: &str = "_sessions";

const PORT: u16 = 5432;

/// Where a store is, and how to get there.
#[derive(Clone)]
pub struct Config {
    pub(crate) postgres: tokio_postgres::Config,
    pub(crate) tls: Tls,
    pub(crate) table: Table,
    /// Makes the database and the table if they are not there. Off at first.
    pub create: bool,
    /// Opens for reading only: nothing at the server changes. Off at first.
    pub read_only: bool,
    /// Longest wait for a server that cannot be reached, or does not go on with an answer. At first
    /// 30 seconds.
    pub patience: Duration,
}

/// How connections are encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    /// If the server can; with any certificate.
    IfPossible,
    Never,
    /// With a certificate for the server's name, signed by one of this file or of the system.
    Always(Option<PathBuf>),
}

/// The name of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    schema: Option<String>,
    name: String,
}

/// Why a URL, or the environment, does not say where a store is. No text has a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// The URL has another form than that of PostgreSQL.
    #[error("the URL is not one of PostgreSQL: {0}; write postgres://USER@HOST:PORT/DATABASE?table=NAME")]
    Form(String),
    /// A parameter, or the variable that stands for it, has a value that it cannot have.
    #[error("{name} cannot be `{value}`: {remedy}")]
    Parameter {
        /// The parameter or variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// The values that it may have.
        remedy: &'static str,
    },
    /// Others may read the password file.
    #[error("the password file {} may be read by others: run `chmod 600` on it", .0.display())]
    Passfile(PathBuf),
}

impl Config {
    /// Reads a URL, and what it does not say from the environment as PostgreSQL's tools do:
    /// `PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD`, `PGPASSFILE`, `PGDATABASE`, `PGSSLMODE`,
    /// `PGSSLROOTCERT`.
    ///
    /// Besides the parameters that tokio-postgres knows there is `table`: `name` or `schema.name`.
    ///
    /// # Errors
    /// See [`UrlError`].
    pub fn from_url(url: &str) -> Result<Self, UrlError> {
        Self::read(url, &|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    pub(crate) fn read(url: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, UrlError> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut theirs = Vec::new();
        let (mut table, mut mode, mut root) = (None, variable("PGSSLMODE"), variable("PGSSLROOTCERT"));
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
            match name {
                "table" => table = Some(value),
                "sslmode" => mode = Some(value),
                "sslrootcert" => root = Some(value),
                _ => theirs.push(parameter),
            }
        }
        let base = with_port(base, variable)?;
        let mut postgres = parse(&format!("{base}?{}", theirs.join("&")))?;
        fill(&mut postgres, variable)?;
        let tls = Tls::from_mode(mode.as_deref(), root)?;
        postgres.ssl_mode(match tls {
            Tls::IfPossible => SslMode::Prefer,
            Tls::Never => SslMode::Disable,
            Tls::Always(_) => SslMode::Require,
        });
        let table = Table::parse(table.as_deref().unwrap_or("kvfs"))?;
        Ok(Self { postgres, tls, table, create: false, read_only: false, patience: Duration::from_secs(30) })
    }

    /// Returns the hosts and ports, for messages.
    pub(crate) fn place(&self) -> String {
        let ports = self.postgres.get_ports();
        let hosts = self.postgres.get_hosts().iter().enumerate().map(|(number, host)| {
            let port = ports.get(number).or(ports.first()).copied().unwrap_or(PORT);
            match host {
                Host::Tcp(name) => format!("{name}:{port}"),
                #[cfg(unix)]
                Host::Unix(path) => format!("{}:{port}", path.display()),
            }
        });
        hosts.collect::<Vec<_>>().join(",")
    }
}

impl Config {
    /// Longest wait for the next part of an answer: after it, another connection may still do.
    pub(crate) fn part_patience(&self) -> Duration {
        self.patience / 3
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("hosts", &self.place())
            .field("user", &self.postgres.get_user())
            .field("password", &self.postgres.get_password().map(|_| "***"))
            .field("database", &self.postgres.get_dbname())
            .field("tls", &self.tls)
            .field("table", &self.table)
            .field("create", &self.create)
            .field("read_only", &self.read_only)
            .field("patience", &self.patience)
            .finish()
    }
}

fn parse(url: &str) -> Result<tokio_postgres::Config, UrlError> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(UrlError::Form("it begins with another scheme".to_owned()));
    }
    let escape = || UrlError::Form("write @ and ? of a password as %40 and %3F".to_owned());
    // The library's errors name parameters, and never values. A parameter may be the end of a password.
    let config: tokio_postgres::Config = url.parse().map_err(|error: tokio_postgres::Error| {
        if url.split_once('?').is_some_and(|(_, query)| query.contains('@')) {
            return escape();
        }
        let why = std::error::Error::source(&error).map(ToString::to_string);
        UrlError::Form(why.unwrap_or_else(|| error.to_string()))
    })?;
    let is_of_password = |host: &Host| matches!(host, Host::Tcp(name) if name.contains('@'));
    if config.get_hosts().iter().any(is_of_password) { Err(escape()) } else { Ok(config) }
}

fn port(variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<u16>, UrlError> {
    let wrong = |value| UrlError::Parameter { name: "PGPORT", value, remedy: "a number up to 65535" };
    variable("PGPORT").map(|value| value.parse().map_err(|_| wrong(value))).transpose()
}

/// Adds the environment's port to a URL that names one host without its port: the library would take
/// its own.
fn with_port<'u>(base: &'u str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Cow<'u, str>, UrlError> {
    let Some((scheme, rest)) = base.split_once("://") else { return Ok(base.into()) };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    let has_port = host.rsplit(']').next().is_some_and(|rest| rest.contains(':'));
    match port(variable)? {
        Some(port) if !host.is_empty() && !host.contains(',') && !has_port => {
            Ok(format!("{scheme}://{authority}:{port}{path}").into())
        }
        _ => Ok(base.into()),
    }
}

/// Adds what the URL did not say.
fn fill(
    postgres: &mut tokio_postgres::Config,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<(), UrlError> {
    if postgres.get_hosts().is_empty() {
        postgres.host(variable("PGHOST").unwrap_or_else(|| "localhost".to_owned()));
        if let Some(port) = port(variable)? {
            postgres.port(port);
        }
    }
    if postgres.get_user().is_none() {
        let user = variable("PGUSER").or_else(|| variable("USER")).unwrap_or_else(|| "postgres".to_owned());
        postgres.user(user);
    }
    if postgres.get_dbname().is_none()
        && let Some(name) = variable("PGDATABASE")
    {
        postgres.dbname(name);
    }
    if postgres.get_password().is_none()
        && let Some(password) = password(postgres, variable)?
    {
        postgres.password(password);
    }
    postgres.keepalives_idle(Duration::from_secs(10)).keepalives_interval(Duration::from_secs(5));
    postgres.keepalives_retries(3).tcp_user_timeout(Duration::from_secs(30));
    if postgres.get_connect_timeout().is_none() {
        postgres.connect_timeout(Duration::from_secs(10));
    }
    Ok(())
}

fn password(
    postgres: &tokio_postgres::Config,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<String>, UrlError> {
    if let Some(password) = variable("PGPASSWORD") {
        return Ok(Some(password));
    }
    let named = variable("PGPASSFILE").map(PathBuf::from);
    let Some(path) = named.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".pgpass"))) else {
        return Ok(None);
    };
    let Ok(text) = std::fs::read_to_string(&path) else { return Ok(None) };
    if is_open_to_others(&path) {
        return Err(UrlError::Passfile(path));
    }
    let user = postgres.get_user().unwrap_or_default();
    let database = postgres.get_dbname().unwrap_or(user);
    let port = postgres.get_ports().first().copied().unwrap_or(PORT);
    let host = match postgres.get_hosts().first() {
        Some(Host::Tcp(name)) => name,
        _ => "localhost",
    };
    Ok(passfile::find(&text, host, port, database, user))
}

#[cfg(unix)]
fn is_open_to_others(path: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_open_to_others(_path: &std::path::Path) -> bool {
    false
}

impl Tls {
    fn from_mode(mode: Option<&str>, root: Option<String>) -> Result<Self, UrlError> {
        let always = Self::Always(root.map(PathBuf::from));
        match mode {
            // PostgreSQL's own client checks the certificate, too, if it is given roots.
            None | Some("prefer" | "allow") if always == Self::Always(None) => Ok(Self::IfPossible),
            None | Some("prefer" | "allow" | "require" | "verify-ca" | "verify-full") => Ok(always),
            Some("disable") => Ok(Self::Never),
            Some(other) => Err(UrlError::Parameter {
                name: "sslmode",
                value: other.to_owned(),
                remedy: "disable, prefer, require or verify-full",
            }),
        }
    }
}

impl Table {
    fn parse(text: &str) -> Result<Self, UrlError> {
        let (schema, name) = match text.split_once('.') {
            Some((schema, name)) => (Some(schema.to_owned()), name),
            None => (None, text),
        };
        let is_name = |name: &str| !name.is_empty() && name.len() <= MAX_TABLE_BYTES && !name.contains('\0');
        if is_name(name) && schema.as_deref().is_none_or(is_name) && !name.contains('.') {
            return Ok(Self { schema, name: name.to_owned() });
        }
        Err(UrlError::Parameter {
            name: "table",
            value: text.to_owned(),
            remedy: "NAME or SCHEMA.NAME, each of 1 to 54 bytes",
        })
    }

    /// Returns its quoted name.
    pub(crate) fn quoted(&self) -> String {
        self.quote(&self.name)
    }

    /// Returns the quoted name of the table of sessions.
    pub(crate) fn quoted_sessions(&self) -> String {
        self.quote(&format!("{}{SESSIONS}", self.name))
    }

    /// Returns the quoted name of its schema.
    pub(crate) fn quoted_schema(&self) -> Option<String> {
        self.schema.as_deref().map(quote)
    }

    fn quote(&self, name: &str) -> String {
        let schema = self.quoted_schema().map(|schema| schema + ".").unwrap_or_default();
        schema + &quote(name)
    }
}

/// Quotes an identifier.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str, variables: &[(&str, &str)]) -> Result<Config, UrlError> {
        Config::read(url, &|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_url_wins_over_the_environment() {
        let all = [
            ("PGHOST", "env"),
            ("PGPORT", "1"),
            ("PGUSER", "eu"),
            ("PGDATABASE", "ed"),
            ("PGPASSWORD", "ep"),
        ];
        let from_url = read("postgres://u:p@h:2/d?table=s.t&application_name=a", &all).unwrap();
        assert_eq!(from_url.place(), "h:2");
        assert_eq!(from_url.postgres.get_user(), Some("u"));
        assert_eq!(from_url.postgres.get_password(), Some(&b"p"[..]));
        assert_eq!(from_url.postgres.get_dbname(), Some("d"));
        assert_eq!(from_url.table.quoted(), r#""s"."t""#);
        assert_eq!(from_url.table.quoted_sessions(), r#""s"."t_sessions""#);
        let from_environment = read("postgres://", &all).unwrap();
        assert_eq!(from_environment.place(), "env:1");
        assert_eq!(from_environment.postgres.get_user(), Some("eu"));
        assert_eq!(from_environment.postgres.get_password(), Some(&b"ep"[..]));
        assert_eq!(from_environment.postgres.get_dbname(), Some("ed"));
        assert_eq!(from_environment.table.quoted(), r#""kvfs""#);
        assert_eq!(read("postgres://u:p@h/d", &all).unwrap().place(), "h:1");
        assert_eq!(read("postgres://u:p@[::1]/d", &all).unwrap().place(), "::1:1");
        assert_eq!(read("postgres://u:p@h/d", &[]).unwrap().place(), "h:5432");
        let several = read("postgresql://a:1,b:2/d", &[]).unwrap();
        assert_eq!(several.place(), "a:1,b:2");
    }

    #[test]
    fn tls_follows_the_mode_and_the_roots() {
        let tls = |url: &str, variables: &[(&str, &str)]| read(url, variables).unwrap().tls;
        let always = |path: &str| Tls::Always(Some(path.into()));
        assert_eq!(tls("postgres://h", &[]), Tls::IfPossible);
        assert_eq!(tls("postgres://h?sslmode=disable", &[("PGSSLMODE", "require")]), Tls::Never);
        assert_eq!(tls("postgres://h", &[("PGSSLMODE", "require")]), Tls::Always(None));
        assert_eq!(tls("postgres://h?sslrootcert=%2Fa%20b", &[]), always("/a b"));
        assert_eq!(tls("postgres://h?sslmode=verify-full", &[("PGSSLROOTCERT", "/r")]), always("/r"));
    }

    #[test]
    fn bad_urls_are_refused_and_no_message_has_the_password() {
        for (url, variables, part) in [
            ("mysql://u:secret@h", &[][..], "postgres://"),
            ("postgres://u:secret@h:x/d", &[], "port"),
            ("postgres://u:secret@h/d?tabel=x", &[], "tabel"),
            ("postgres://u:secret@h/d?sslmode=no", &[], "verify-full"),
            ("postgres://u:secret@h/d?table=", &[], "SCHEMA.NAME"),
            ("postgres://u:secret@h/d?table=a.b.c", &[], "SCHEMA.NAME"),
            ("postgres://u:secret@h", &[("PGPORT", "99999")], "65535"),
        ] {
            let message = read(url, variables).unwrap_err().to_string();
            assert!(message.contains(part), "{url}: {message}");
            assert!(!message.contains("secret") && !message.contains('\n'), "{url}: {message}");
        }
        let long = format!("postgres://h?table={}", "t".repeat(55));
        assert!(read(&long, &[]).is_err());
        let debug = format!("{:?}", read("postgres://u:secret@h/d", &[]).unwrap());
        assert!(debug.contains("***") && !debug.contains("secret"), "{debug}");
    }

    #[test]
    fn a_password_file_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "h:5432:d:u:from the file\n").unwrap();
        let variables = [("PGPASSFILE", file.path().to_str().unwrap())];
        let config = read("postgres://u@h/d", &variables).unwrap();
        assert_eq!(config.postgres.get_password(), Some(&b"from the file"[..]));
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(read("postgres://u@h/d", &variables), Err(UrlError::Passfile(_))));
    }

    #[test]
    fn names_are_quoted() {
        let table = Table::parse("a\"b.c; DROP TABLE x").unwrap();
        assert_eq!(table.quoted(), r#""a""b"."c; DROP TABLE x""#);
    }
}
