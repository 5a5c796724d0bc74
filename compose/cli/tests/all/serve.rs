//! `kvfs serve`: its pages, over a socket, and requests of those who may not ask.

use super::kvfs;
use super::volume::{done, open};
use kvfs::{Access, At, Follow, OpenFlags, Options, Volume};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const STORE: &str = "file:s";

/// A name that would be markup, and that changes the direction of text.
const EVIL: &str = "<img src=x onerror=alert(1)>\"'&\u{202e}";

/// The smallest picture.
const GIF: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\x00\x00\x00\x00\x00!\xf9\x04\x00\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

/// A server, ended when it is dropped.
struct Server {
    child: Child,
    host: String,
    token: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer: its status, its head and its body.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let name = format!("{name}: ");
        self.head.lines().find_map(|line| line.strip_prefix(&name))
    }
}

impl Server {
    fn start(directory: &Path, store: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_kvfs"))
            .args(["serve", "--store", store])
            .current_dir(directory)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix(&format!("{store} is at http://")).expect(&line);
        let (host, token) = address.trim_end_matches('/').split_once('/').unwrap();
        assert!(host.starts_with("127.0.0.1:") && token.len() >= 32, "{line}");
        Self { host: host.to_owned(), token: token.to_owned(), child }
    }

    /// Sends bytes, and returns what comes until the server closes; `None` if it is no answer.
    fn send(&self, request: &[u8]) -> Option<Answer> {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // The server may refuse it before all of it is sent.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let end = answer.windows(4).position(|part| part == b"\r\n\r\n")?;
        let head = String::from_utf8(answer[..end].to_vec()).unwrap().replace("\r\n", "\n");
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Answer { status, head, body: answer[end + 4..].to_vec() })
    }

    fn ask(&self, method: &str, target: &str, host: &str) -> Answer {
        let request = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        self.send(request.as_bytes()).expect(target)
    }

    /// Asks for a page, and checks what all of them have.
    fn get(&self, page: &str) -> Answer {
        let answer = self.ask("GET", &format!("/{}/{page}", self.token), &self.host);
        check(&answer, page);
        assert!(answer.body.len() < 40 << 20, "{page}: {} bytes", answer.body.len());
        assert!(!answer.head.contains(&self.token), "{page}");
        answer
    }

    /// Asks for a page that there is, and checks its markup.
    fn page(&self, page: &str) -> String {
        let answer = self.get(page);
        assert_eq!(answer.status, 200, "{page}: {}", answer.text());
        check_markup(answer.text());
        answer.text().to_owned()
    }
}

fn check(answer: &Answer, page: &str) {
    let policy = answer.header("content-security-policy").expect(page);
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{page}: {policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{page}: {policy}");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{page}: {}", answer.head);
    }
    assert!(answer.header("set-cookie").is_none() && answer.header("access-control-allow-origin").is_none());
}

/// Every page has what screen readers go by, no script, and no element that a name has made.
fn check_markup(html: &str) {
    for needed in [
        "<!DOCTYPE html>",
        "<html lang=\"en\">",
        "<title>",
        "<header>",
        "<main id=\"main\"",
        "<h1>",
        "href=\"#main\"",
        "<nav aria-label=\"Pages\">",
    ] {
        assert_eq!(html.matches(needed).count(), 1, "{needed}: {html}");
    }
    for refused in
        ["<script", "<iframe", "<style", " style=", "javascript:", "<img src=x", "\u{202e}", "\x1b"]
    {
        assert!(!html.contains(refused), "{refused:?}: {html}");
    }
    let mut open: Vec<&str> = Vec::new();
    for tag in html.split('<').skip(1) {
        let name = tag.split(['>', ' ', '\n']).next().unwrap();
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{html}"),
            None if matches!(name, "!DOCTYPE" | "meta" | "link" | "img" | "input") => {}
            None => open.push(name),
        }
    }
    assert!(open.is_empty(), "{open:?} stay open: {html}");
}

fn change(path: &Path, call: &dyn Fn(&mut Volume)) {
    let (store, volumes) = open(path, STORE);
    let mut volume = volumes.open(Options::default()).unwrap();
    call(&mut volume);
    volume.sync_all().unwrap();
    drop(volume);
    store.close().unwrap();
}

fn put(volume: &mut Volume, path: &str, bytes: &[u8]) {
    let root = volume.root().unwrap();
    let create = OpenFlags { create: true, truncate: true, ..OpenFlags::default() };
    let access = Access { write: true, ..Access::default() };
    let file = volume.open_at(&root, path, Follow::No, create, access).unwrap();
    let mut at = 0;
    while at < bytes.len() {
        at += volume.write(&file, At::Offset(at as u64), &bytes[at..]).unwrap();
    }
    volume.close(file).unwrap();
    volume.close(root).unwrap();
}

fn prepared(path: &Path) {
    done(path, &["create", "--store", STORE, "main"]);
    change(path, &|volume| {
        let root = volume.root().unwrap();
        volume.create_directory_at(&root, "docs").unwrap();
        volume.create_directory_at(&root, EVIL).unwrap();
        volume.symlink_at("../../etc/passwd", &root, "out").unwrap();
        volume.symlink_at(EVIL, &root, "odd-link").unwrap();
        volume.close(root).unwrap();
        put(volume, "docs/read me.txt", b"hello <b>world</b>\n\ttab\x1b[2J\xff\n");
        put(volume, "docs/page.html", b"<script>alert(1)</script>");
        put(volume, "docs/picture.svg", b"<svg onload='alert(1)'/>");
        put(volume, "dot.gif", GIF);
        put(volume, "fake.gif", b"GIF89a<script>alert(1)</script>");
        put(volume, "binary", b"\0\x01\x02<b>");
        put(volume, "empty", b"");
        put(volume, &format!("{EVIL}/{EVIL}"), b"x");
        put(volume, "changed", b"one\ntwo\nthree\n");
    });
    done(path, &["snapshot", "--store", STORE, "main", "then"]);
    change(path, &|volume| {
        put(volume, "changed", b"one\n<b>2</b>\nthree");
        put(volume, "added", b"new\n");
        put(volume, "binary", b"\0\x01\x03");
        let root = volume.root().unwrap();
        volume.unlink_file_at(&root, "empty").unwrap();
        volume.rename_at(&root, "dot.gif", &root, "point.gif").unwrap();
        volume.close(root).unwrap();
    });
    done(path, &["create", "--store", STORE, EVIL]);
}

#[test]
fn volumes_files_and_differences_have_pages() {
    let dir = tempfile::tempdir().unwrap();
    prepared(dir.path());
    let server = Server::start(dir.path(), STORE);
    let volumes = server.page("");
    assert!(volumes.contains("2 volumes with a common past"), "{volumes}");
    assert!(volumes.contains(">main</a>") && volumes.contains(">then</a>") && volumes.contains("read-only"));
    assert!(volumes.contains("&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;\\u{202e}"), "{volumes}");

    let root = server.page("files?volume=main");
    assert!(root.contains("href=\"files?volume=main&amp;path=%2Fdocs\">docs</a>/"), "{root}");
    let at = |name: &str| root.find(&format!(">{name}</a>")).unwrap_or_else(|| panic!("{name}: {root}"));
    assert!(at("added") < at("binary") && at("binary") < at("changed") && at("changed") < at("docs"));

    let text = server.page("files?volume=main&path=/docs/read+me.txt");
    assert!(text.contains("hello &lt;b&gt;world&lt;/b&gt;\n\ttab\\u{1b}[2J\\xff\n</pre>"), "{text}");
    assert!(text.contains("aria-current=\"page\">read me.txt<"), "{text}");
    let html = server.page("files?volume=main&path=/docs/page.html");
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{html}");
    let binary = server.page("files?volume=main&path=/binary");
    assert!(binary.contains("00000000  00 01 03 ") && binary.contains("  ...\n"), "{binary}");
    let link = server.page("files?volume=main&path=/out");
    assert!(link.contains("<code>../../etc/passwd</code>") && !link.contains("root:"), "{link}");
    server.page("files?volume=main&path=/odd-link");
    assert!(server.page("files?volume=then&path=/empty").contains("The file is empty."));
    let evil: String = form_urlencoded(EVIL);
    let deep = server.page(&format!("files?volume=main&path=/{evil}/{evil}"));
    assert!(deep.contains(">\nx</pre>"), "{deep}");
    assert!(server.page(&format!("files?volume={evil}")).contains("0 entries"));

    let differences = server.page("diff?first=then&second=main");
    for expected in [
        ">/added</a></th><td>file</td><td class=\"added\">added<",
        ">/empty</a></th><td>file</td><td class=\"removed\">removed<",
        "renamed from /dot.gif",
        "modified: bytes",
        "path=%2Fchanged\">/changed</a>",
    ] {
        assert!(differences.contains(expected), "{expected}: {differences}");
    }
    assert!(server.page("diff?first=main&second=main").contains("do not differ"));
    server.page("diff");
    let changed = server.page("changed?first=then&second=main&before=/changed&path=/changed");
    for expected in
        ["<del>- two</del>", "<ins>+ &lt;b&gt;2&lt;/b&gt;</ins>", "no line end", "@@ -1,3 +1,3 @@"]
    {
        assert!(changed.contains(expected), "{expected}: {changed}");
    }
    let binary = server.page("changed?first=then&second=main&before=/binary&path=/binary");
    assert!(binary.contains("Binary files differ"), "{binary}");
}

fn form_urlencoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn bytes_of_files_are_never_a_page() {
    let dir = tempfile::tempdir().unwrap();
    prepared(dir.path());
    let server = Server::start(dir.path(), STORE);
    let picture = server.get("raw?volume=main&path=/point.gif&as=picture");
    assert_eq!((picture.status, picture.header("content-type")), (200, Some("image/gif")));
    assert_eq!(picture.body, GIF);
    assert!(server.page("files?volume=main&path=/point.gif").contains("<img src=\"raw?volume=main"));
    for name in ["docs/page.html", "docs/picture.svg", "fake.gif", "point.gif", "binary"] {
        let answer = server.get(&format!("raw?volume=main&path=/{name}"));
        assert_eq!(answer.status, 200, "{name}");
        assert_eq!(answer.header("content-type"), Some("application/octet-stream"), "{name}");
        assert_eq!(answer.header("content-disposition"), Some("attachment"), "{name}");
        assert!(answer.header("content-security-policy").unwrap().contains("sandbox;"), "{name}");
    }
    // Asked for as a picture, only one is sent, and never as a page.
    for name in ["docs/page.html", "docs/picture.svg", "binary"] {
        assert_eq!(server.get(&format!("raw?volume=main&path=/{name}&as=picture")).status, 415, "{name}");
    }
    let fake = server.get("raw?volume=main&path=/fake.gif&as=picture");
    assert_eq!(fake.header("content-type"), Some("image/gif"));
    assert!(fake.header("content-security-policy").unwrap().contains("sandbox;"));
    for missing in ["docs", "out", "none"] {
        assert_eq!(server.get(&format!("raw?volume=main&path=/{missing}")).status, 404, "{missing}");
    }
}

#[test]
fn who_has_no_token_or_comes_by_another_name_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    prepared(dir.path());
    let server = Server::start(dir.path(), STORE);
    let (token, host) = (&server.token, &server.host);
    let port = host.rsplit(':').next().unwrap();
    let whole = format!("/{token}/");
    let refused = |status: u16, answer: Answer, what: &str| {
        assert_eq!(answer.status, status, "{what}: {}", answer.head);
        check(&answer, what);
        let text = answer.text();
        assert!(
            !text.contains("main</a>") && !text.contains(token.as_str()) && !text.contains("file:s"),
            "{text}"
        );
    };
    let wrong = token.replace(|c: char| c.is_ascii_digit(), "x");
    let longer = format!("/{token}0/");
    for target in [
        "/",
        "//",
        "/files?volume=main",
        &format!("/{wrong}/"),
        &longer,
        &format!("/{}/", &token[1..]),
        &format!("/{}/", token.to_uppercase().replace(|c: char| c.is_ascii_digit(), "A")),
        &format!("/?{token}"),
        &format!("/{token}"),
    ] {
        refused(403, server.ask("GET", target, host), target);
    }
    for other in [
        "evil.example",
        &format!("evil.example:{port}"),
        "127.0.0.1",
        "127.0.0.1:1",
        "",
        &format!("127.0.0.1:{port}.evil.example"),
    ] {
        refused(421, server.ask("GET", &whole, other), other);
    }
    let two =
        format!("GET {whole} HTTP/1.1\r\nHost: {host}\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    let two = server.send(two.as_bytes()).unwrap();
    assert!(two.status == 421 || two.status == 400, "{}", two.head);
    let none = server.send(format!("GET {whole} HTTP/1.0\r\n\r\n").as_bytes()).unwrap();
    refused(421, none, "no host");
    refused(421, server.ask("GET", &format!("http://evil.example{whole}"), host), "an absolute target");
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        refused(405, server.ask(method, &whole, host), method);
    }
    let head = server.ask("HEAD", &whole, host);
    assert!(head.status == 200 && head.body.is_empty(), "{}", head.head);
    assert_eq!(server.ask("GET", &whole, &format!("localhost:{port}")).status, 200);
}

#[test]
fn hostile_requests_get_an_error_and_the_server_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    prepared(dir.path());
    let server = Server::start(dir.path(), STORE);
    for (page, status) in [
        ("none", 404),
        ("../files?volume=main", 404),
        ("files", 400),
        ("files?volume=", 400),
        ("files?volume=none", 404),
        ("files?volume=%00", 404),
        ("files?volume=main&path=/none", 404),
        ("files?volume=main&path=/changed/below", 404),
        ("files?volume=main&path=..", 400),
        ("files?volume=main&path=/docs/%2e%2e/changed", 400),
        ("files?volume=main&path=/out/x", 403),
        ("files?volume=main&path=%00", 400),
        ("files?volume=main&path=%FF%FE", 404),
        ("files?volume=main&path=/changed&at=x", 400),
        ("files?volume=main&path=/changed&at=18446744073709551615", 200),
        ("files?volume=main&path=/binary&at=18446744073709551615", 200),
        ("files?volume=main&after=%F4%8F%BF%BF", 200),
        ("diff?first=main&second=none", 404),
        ("diff?first=main&second=then&at=18446744073709551615", 200),
        ("changed?first=main&second=then&before=/docs&path=/docs", 200),
        ("changed?first=main", 400),
        ("raw", 400),
    ] {
        let answer = server.get(page);
        let status = if status == 403 { answer.status.clamp(400, 599) } else { status };
        assert_eq!(answer.status, status, "{page}: {}", answer.text());
        assert!(!answer.text().contains("root:"), "{page}");
        if answer.header("content-type") == Some("text/html; charset=utf-8") {
            check_markup(answer.text());
        }
    }
    let long = format!("files?volume=main&path={}", "a".repeat(40_000));
    assert_eq!(server.get(&long).status, 414);
    let name = format!("files?volume=main&path=/{}", "a".repeat(5000));
    assert_eq!(server.get(&name).status, 404);
    for garbage in
        [&b"\r\n\r\n"[..], b"GET", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9.9\r\n\r\n", &[b'a'; 1 << 20]]
    {
        let mut stream = TcpStream::connect(&server.host).unwrap();
        let _ = stream.write_all(garbage);
        drop(stream);
    }
    // A client that sends nothing holds no one up.
    let _idle: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(&server.host).unwrap()).collect();
    server.page("");
}

#[test]
fn large_directories_and_files_come_in_parts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    done(path, &["create", "--store", STORE, "main"]);
    let lines: String = (0..20_000).map(|n| format!("line {n}\n")).collect();
    change(path, &|volume| {
        for n in 0..1203 {
            put(volume, &format!("f{n:04}"), b"");
        }
        put(volume, "lines", lines.as_bytes());
        put(volume, "one-line", &vec![b'x'; 200_000]);
        put(volume, "huge", &vec![b'y'; (32 << 20) + 1]);
    });
    let server = Server::start(path, STORE);
    let next = |html: &str| {
        let at = html.find(">Next page<")?;
        let link = html[..at].rsplit("href=\"").next()?.trim_end_matches('"');
        Some(link.replace("&amp;", "&"))
    };
    let all = |first: &str, each: &mut dyn FnMut(&str)| {
        let (mut page, mut pages) = (Some(first.to_owned()), 0);
        while let Some(address) = page {
            let html = server.page(&address);
            assert!(html.len() < 1 << 20, "{address}: {} bytes", html.len());
            each(&html);
            page = next(&html);
            pages += 1;
            assert!(pages < 100, "{first} has no end");
        }
        pages
    };
    let mut names = Vec::new();
    let pages = all("files?volume=main", &mut |html| {
        names.extend(html.split("path=%2Ff").skip(1).map(|part| part[..4].to_owned()));
    });
    assert_eq!(pages, 3);
    assert_eq!(names, (0..1203).map(|n| format!("{n:04}")).collect::<Vec<_>>());
    let mut text = String::new();
    let content = |html: &str| {
        html.split("aria-label=\"Text of the file\">\n")
            .nth(1)
            .unwrap()
            .split("</pre>")
            .next()
            .unwrap()
            .to_owned()
    };
    assert!(all("files?volume=main&path=/lines", &mut |html| text += &content(html)) > 2);
    assert_eq!(text, lines);
    let mut text = String::new();
    all("files?volume=main&path=/one-line", &mut |html| text += &content(html));
    assert_eq!(text.len(), 200_000);
    let huge = server.get("raw?volume=main&path=/huge");
    assert!(huge.status == 413 && huge.text().contains("kvfs get"), "{}", huge.text());
    assert!(!server.page("files?volume=main&path=/huge").contains(">Download<"));
}

#[test]
fn a_page_shows_what_a_writer_has_stored_since_and_does_not_disturb_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    done(path, &["create", "--store", STORE, "main"]);
    let (store, volumes) = open(path, STORE);
    let mut volume = volumes.open(Options::default()).unwrap();
    put(&mut volume, "before", b"1");
    let server = Server::start(path, STORE);
    assert!(server.page("files?volume=main").contains(">before</a>"));
    put(&mut volume, "since", b"2");
    volume.sync_all().unwrap();
    let start = std::time::Instant::now();
    while !server.page("files?volume=main").contains(">since</a>") {
        assert!(start.elapsed() < Duration::from_secs(60), "the page stays old");
        std::thread::sleep(Duration::from_millis(200));
    }
    put(&mut volume, "goes-on", b"3");
    volume.sync_all().unwrap();
    drop(volume);
    store.close().unwrap();
}

#[test]
fn what_cannot_be_served_is_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    done(path, &["create", "--store", STORE, "main"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (args, expected) in [
        (&["--store", "file:none"][..], "none"),
        (&["--store", STORE, "--port", &port], "choose another with --port"),
        (&["--store", STORE, "--image", "none.wasm"], "cannot read none.wasm"),
    ] {
        let output = kvfs(path, &[&["serve"], args].concat());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && output.stdout.is_empty(), "{args:?}");
        assert!(stderr.lines().count() == 1 && stderr.contains(expected), "{args:?}: {stderr}");
    }
}

#[test]
fn a_browser_shows_the_pages_as_they_are_meant_and_runs_nothing() {
    let Some(browser) = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| {
        Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success())
    }) else {
        eprintln!("skipped: there is no browser here");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    prepared(dir.path());
    let server = Server::start(dir.path(), STORE);
    for page in [
        "",
        "files?volume=main",
        "files?volume=main&path=/docs/page.html",
        "files?volume=main&path=/point.gif",
        "files?volume=main&path=/fake.gif",
        "diff?first=then&second=main",
        "changed?first=then&second=main&before=/changed&path=/changed",
    ] {
        let output = Command::new(browser)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"])
            .arg(format!("--user-data-dir={}", dir.path().join("profile").display()))
            .arg(format!("http://{}/{}/{page}", server.host, server.token))
            .output()
            .unwrap();
        let (dom, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(dom.contains("<main id=\"main\"") && !dom.contains("<script"), "{page}: {dom}\n{log}");
        // The browser's console tells of what the page's own policy has refused.
        for refused in ["Content Security Policy", "Refused to", "violates", "MIME type"] {
            assert!(!log.contains(refused), "{page}: {log}");
        }
    }
}
