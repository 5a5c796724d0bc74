//! The lines of a run that wait to be stored.

use crate::escape::MAX_ESCAPED_BYTES;
use crate::line::{Line, MAX_TEXT_BYTES, push_number};
use crate::settings::{Level, Settings};
use crate::time::{SecondCache, Time};

/// Longest line: two texts, all escaped, and the rest.
pub const MAX_LINE_BYTES: usize = 2 * MAX_TEXT_BYTES * MAX_ESCAPED_BYTES + (1 << 10);

/// Most bytes of lines that wait.
pub const BUFFER_BYTES: usize = 128 << 10;

/// Bytes of lines from which on they should be stored. One more line has room then.
const FULL_BYTES: usize = BUFFER_BYTES / 2;

/// Longest tail of an open span, and longest line that tells of lost events.
const MAX_TAIL_BYTES: usize = 256;

/// Reads or writes that may be one event: each goes on where the last one ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The operation.
    pub op: &'static str,
    /// The descriptor.
    pub fd: u64,
    /// The stream of that descriptor; 0 for none.
    pub stream: u64,
    /// Where the bytes lie; `None` for appending.
    pub offset: Option<u64>,
}

/// A span of calls whose line is not ended.
#[derive(Debug)]
struct OpenSpan {
    /// The next call that belongs to it.
    next: Span,
    bytes: u64,
    calls: u64,
    result: &'static str,
}

/// Events that have no line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lost {
    count: u64,
    first: u64,
    last: u64,
}

/// The log of one run: lines that wait to be stored, and the count of events.
///
/// Its memory is bounded. An event that finds no room is counted, and a line tells of it as soon as
/// there is room.
#[derive(Debug)]
pub struct Log {
    level: Level,
    max_bytes: u64,
    lines: Vec<u8>,
    /// The number of the last event.
    last: u64,
    /// Bytes of lines that were stored.
    stored_bytes: u64,
    span: Option<OpenSpan>,
    lost: Option<Lost>,
    /// Events that lines beyond the bound have told to be lost.
    told_beyond: u64,
    seconds: SecondCache,
}

impl Log {
    /// Makes an empty log. Takes all of its memory now: later there may be none.
    pub fn new(settings: &Settings) -> Self {
        Self {
            level: settings.level,
            max_bytes: settings.max_bytes,
            lines: Vec::with_capacity(BUFFER_BYTES),
            last: 0,
            stored_bytes: 0,
            span: None,
            lost: None,
            told_beyond: 0,
            seconds: SecondCache::default(),
        }
    }

    /// Returns whether an operation is an event.
    pub fn wants(&self, is_change: bool) -> bool {
        is_change || self.level == Level::All
    }

    /// Counts an event and begins its line. `None` if it has no room and is lost.
    #[inline(never)]
    pub fn begin(&mut self, op: &str, time: Time) -> Option<Line<'_>> {
        self.end_span();
        self.last = self.last.saturating_add(1);
        if self.is_at_bound() || !self.has_room() {
            self.lose();
            return None;
        }
        self.tell_lost();
        self.lines.extend_from_slice(b"{\"n\":");
        push_number(&mut self.lines, self.last);
        self.lines.extend_from_slice(b",\"t\":\"");
        self.seconds.push(&mut self.lines, time);
        self.lines.extend_from_slice(b"\",\"op\":\"");
        self.lines.extend_from_slice(op.as_bytes());
        self.lines.push(b'"');
        Some(Line::new(&mut self.lines))
    }

    /// Adds a read or a write of so many bytes. Calls that each go on where the last one ended,
    /// with no other event between, are one event. `now` and `start` are called if a new event
    /// begins.
    pub fn transfer(
        &mut self,
        span: Span,
        bytes: u64,
        result: &'static str,
        now: impl FnOnce() -> Time,
        start: impl FnOnce(&mut Line<'_>),
    ) {
        if !self.span.as_ref().is_some_and(|open| open.next == span && open.result == "ok") {
            let Some(mut line) = self.begin(span.op, now()) else { return };
            start(&mut line);
            if let Some(offset) = span.offset {
                line.number("offset", offset);
            }
            line.leave_open();
            self.span = Some(OpenSpan { next: span, bytes: 0, calls: 0, result: "ok" });
        }
        if let Some(open) = &mut self.span {
            open.bytes = open.bytes.saturating_add(bytes);
            open.calls += 1;
            open.result = result;
            open.next.offset = span.offset.map(|offset| offset.saturating_add(bytes));
        }
    }

    /// Returns whether so much waits that it should be stored now.
    pub fn is_full(&self) -> bool {
        self.lines.len() >= FULL_BYTES
    }

    /// Returns whether the run has all the lines that it may have.
    pub fn is_at_bound(&self) -> bool {
        self.bytes() >= self.max_bytes
    }

    /// Returns whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Returns the waiting lines, the open one ended.
    pub fn lines(&mut self) -> &[u8] {
        self.end_span();
        &self.lines
    }

    /// Removes the first bytes of the waiting lines: they are stored.
    pub fn forget(&mut self, bytes: usize) {
        self.end_span();
        let bytes = bytes.min(self.lines.len());
        self.lines.drain(..bytes);
        self.stored_bytes = self.stored_bytes.saturating_add(bytes as u64);
    }

    /// Writes how many events were lost, if any were and there is room. Beyond the bound of the
    /// run, waits until twice as many are lost as were told: a run may go on for years, and its
    /// lines are to have a bound all the same.
    #[inline(never)]
    pub fn tell_lost(&mut self) {
        self.end_span();
        if self.lines.len() + MAX_TAIL_BYTES > BUFFER_BYTES {
            return;
        }
        if self.is_at_bound() {
            if self.lost() < self.told_beyond {
                return;
            }
            self.told_beyond = self.told_beyond.saturating_add(self.lost());
        }
        if let Some(Lost { count, first, last }) = self.lost.take() {
            for (key, value) in [("{\"lost\":", count), (",\"first\":", first), (",\"last\":", last)] {
                self.lines.extend_from_slice(key.as_bytes());
                push_number(&mut self.lines, value);
            }
            self.lines.extend_from_slice(b"}\n");
        }
    }

    /// Returns how many events are lost and told in no line yet.
    pub fn lost(&self) -> u64 {
        self.lost.map_or(0, |lost| lost.count)
    }

    /// Bytes of all lines of the run.
    fn bytes(&self) -> u64 {
        self.stored_bytes.saturating_add(self.lines.len() as u64)
    }

    fn has_room(&self) -> bool {
        // A line that tells of lost events, the longest line, and its tail.
        self.lines.len() + 2 * MAX_TAIL_BYTES + MAX_LINE_BYTES <= BUFFER_BYTES
    }

    fn lose(&mut self) {
        let lost = self.lost.get_or_insert(Lost { count: 0, first: self.last, last: self.last });
        lost.count = lost.count.saturating_add(1);
        lost.last = self.last;
    }

    #[inline(never)]
    fn end_span(&mut self) {
        if let Some(OpenSpan { bytes, calls, result, .. }) = self.span.take() {
            let mut line = Line::new(&mut self.lines);
            line.number("bytes", bytes);
            line.number("calls", calls);
            line.end(result);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn log() -> Log {
        Log::new(&Settings::new(Level::All))
    }

    fn values(log: &mut Log) -> Vec<Value> {
        let lines = String::from_utf8(log.lines().to_vec()).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    const SPAN: Span = Span { op: "read", fd: 3, stream: 1, offset: Some(10) };

    fn transfer(log: &mut Log, span: Span, bytes: u64, result: &'static str) {
        log.transfer(span, bytes, result, Time::default, |line| line.number("fd", span.fd));
    }

    #[test]
    fn calls_that_go_on_are_one_event() {
        let mut log = log();
        transfer(&mut log, SPAN, 5, "ok");
        transfer(&mut log, Span { offset: Some(15), ..SPAN }, 7, "ok");
        transfer(&mut log, Span { offset: Some(22), ..SPAN }, 0, "closed");
        transfer(&mut log, Span { offset: Some(22), ..SPAN }, 0, "closed");
        transfer(&mut log, Span { offset: Some(22), fd: 4, ..SPAN }, 1, "ok");
        transfer(&mut log, Span { offset: Some(50), fd: 4, ..SPAN }, 1, "ok");
        let seen: Vec<Value> = values(&mut log)
            .iter()
            .map(|line| {
                json!([line["n"], line["fd"], line["offset"], line["bytes"], line["calls"], line["result"]])
            })
            .collect();
        assert_eq!(
            Value::from(seen),
            json!([
                [1, 3, 10, 12, 3, "closed"],
                [2, 3, 22, 0, 1, "closed"],
                [3, 4, 22, 1, 1, "ok"],
                [4, 4, 50, 1, 1, "ok"]
            ])
        );
    }

    #[test]
    fn an_event_between_ends_a_span() {
        let mut log = log();
        transfer(&mut log, SPAN, 5, "ok");
        log.begin("sync", Time::default()).unwrap().end("ok");
        transfer(&mut log, Span { offset: Some(15), ..SPAN }, 7, "ok");
        let ops: Vec<Value> = values(&mut log).iter().map(|line| line["op"].clone()).collect();
        assert_eq!(Value::from(ops), json!(["read", "sync", "read"]));
    }

    #[test]
    fn events_without_room_are_counted_and_told() {
        let mut log = log();
        let long = "\u{1}".repeat(MAX_TEXT_BYTES);
        let mut began = 0_u64;
        for _ in 0..100 {
            if let Some(mut line) = log.begin("rename-at", Time::default()) {
                line.text("path", &long);
                line.text("to", &long);
                line.end("ok");
                began += 1;
            }
        }
        assert!(log.lines().len() <= BUFFER_BYTES);
        assert_eq!(log.lines.capacity(), BUFFER_BYTES, "no more memory than at the start");
        assert!(began >= 2 && log.lost() == 100 - began, "{began}");
        let stored = log.lines().len();
        log.forget(stored);
        log.begin("stat", Time::default()).unwrap().end("ok");
        let seen = values(&mut log);
        assert_eq!(seen[0], json!({"lost": 100 - began, "first": began + 1, "last": 100}));
        assert_eq!(seen[1]["n"], 101);
        assert_eq!(log.lost(), 0);
    }

    #[test]
    fn a_run_has_a_bound_and_counts_beyond_it() {
        let mut log = Log::new(&Settings { max_bytes: 500, ..Settings::new(Level::All) });
        for _ in 0..1000 {
            if let Some(line) = log.begin("stat", Time::default()) {
                line.end("ok");
            }
            let stored = log.lines().len();
            log.forget(stored);
        }
        assert!(log.bytes() < 600 && log.lost() > 900);
        log.tell_lost();
        assert_eq!(values(&mut log)[0]["last"], 1000);
    }

    #[test]
    fn a_run_beyond_its_bound_tells_of_lost_events_ever_more_rarely() {
        let mut log = Log::new(&Settings { max_bytes: 500, ..Settings::new(Level::All) });
        let (mut told, mut lines) = (0, 0);
        for number in 1..=10_000_u64 {
            if let Some(line) = log.begin("stat", Time::default()) {
                line.end("ok");
            }
            log.tell_lost();
            let seen = values(&mut log);
            let counts = seen.iter().filter_map(|line| line["lost"].as_u64());
            lines += counts.clone().count();
            told += counts.sum::<u64>();
            let known = told + log.lost();
            assert!(known <= number && (known == 0 || told >= known / 2), "{told} of {known}");
            let stored = log.lines().len();
            log.forget(stored);
        }
        assert!((10..=16).contains(&lines), "{lines}");
        assert!(log.bytes() < 2000, "{}", log.bytes());
    }

    #[test]
    fn a_long_base_hides_no_name_and_long_text_is_cut() {
        let mut log = log();
        let mut line = log.begin("stat-at", Time::default()).unwrap();
        line.path("path", &format!("/{}", "./".repeat(2045)), "secret");
        line.path("to", "/a", "");
        line.text("target", &"ü".repeat(3000));
        line.end("ok");
        let line = &values(&mut log)[0];
        assert_eq!((&line["path"], &line["to"]), (&json!("secret"), &json!("/a")));
        assert_eq!(
            (line["target"].as_str().unwrap().len(), &line["cut"]),
            (MAX_TEXT_BYTES - 1, &json!(true))
        );
    }

    #[test]
    fn a_line_with_two_long_texts_says_once_that_it_is_cut() {
        let mut log = log();
        let mut line = log.begin("rename-at", Time::default()).unwrap();
        line.path("path", "", &"a".repeat(MAX_TEXT_BYTES + 1));
        line.path("to", "", &"b".repeat(MAX_TEXT_BYTES + 1));
        line.end("name-too-long");
        log.begin("rename-at", Time::default()).unwrap().text("path", &"c".repeat(MAX_TEXT_BYTES + 1));
        let lines = String::from_utf8(log.lines().to_vec()).unwrap();
        let times: Vec<usize> = lines.lines().map(|line| line.matches("\"cut\":true").count()).collect();
        assert_eq!(times, [1, 1]);
    }

    #[test]
    fn a_line_that_nobody_ended_is_a_line_all_the_same() {
        let mut log = log();
        drop(log.begin("stat", Time::default()));
        assert_eq!(values(&mut log)[0]["result"], "unknown");
    }

    #[test]
    fn levels_choose_operations() {
        let changes = Log::new(&Settings::new(Level::Changes));
        assert!(changes.wants(true) && !changes.wants(false));
        assert!(log().wants(false));
    }
}
