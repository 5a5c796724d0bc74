//! The guest's command line and endings, which are those of `python`.

use super::bare;
use kvfs_tests::{Network, Output};

fn python(args: &[&str]) -> Output {
    bare().args(args.iter().copied()).run().unwrap()
}

#[test]
fn dash_c_runs_the_code_with_its_arguments() {
    let output = python(&["-c", "import sys; print(sys.argv, __name__, repr(sys.path[0]))", "a", "-b"]);
    assert_eq!(output.success(), "['-c', 'a', '-b'] __main__ ''\n");
}

#[test]
fn version_is_printed() {
    assert!(python(&["-V"]).success().starts_with("Python 3.14."));
}

#[test]
fn an_unknown_option_is_refused_with_the_usage() {
    let output = python(&["-Z"]);
    assert_eq!(output.code, Some(2));
    assert!(output.stderr.starts_with("Unknown option: -Z\nusage: python"), "{}", output.stderr);
}

#[test]
fn exit_codes_are_exact() {
    for (code, expected) in [
        ("pass", 0),
        ("import sys; sys.exit()", 0),
        ("import sys; sys.exit(0)", 0),
        ("import sys; sys.exit(3)", 3),
        ("import sys; sys.exit(255)", 255),
        ("import sys; sys.exit('reason')", 1),
        ("import os; os._exit(7)", 7),
        ("raise KeyboardInterrupt", 130),
        ("1/0", 1),
    ] {
        let output = python(&["-c", code]);
        assert_eq!(output.code, Some(expected), "{code}: {output:?}");
    }
}

#[test]
fn an_uncaught_exception_prints_only_the_programs_frames() {
    let output = python(&["-c", "def f():\n    1/0\nf()"]);
    assert_eq!(output.code, Some(1));
    let mut lines = output.stderr.lines();
    assert_eq!(lines.next(), Some("Traceback (most recent call last):"));
    assert!(lines.next().unwrap().contains("\"<string>\", line 3, in <module>"), "{}", output.stderr);
    assert_eq!(output.stderr.lines().last(), Some("ZeroDivisionError: division by zero"));
    assert!(!output.stderr.contains("kvfs_python"), "{}", output.stderr);
}

#[test]
fn a_message_given_to_exit_goes_to_standard_error() {
    let output = python(&["-c", "import sys; sys.exit('reason')"]);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", "reason\n"));
}

#[test]
fn a_program_comes_from_standard_input() {
    for args in [&[][..], &["-", "x"][..]] {
        let run = bare().args(args.iter().copied()).stdin("import sys\nprint('from stdin', sys.argv)\n");
        let argv = if args.is_empty() { "['']" } else { "['-', 'x']" };
        assert_eq!(run.run().unwrap().success(), format!("from stdin {argv}\n"));
    }
}

#[test]
fn a_script_and_the_modules_beside_it_are_files() {
    let dir = tempfile::tempdir().unwrap();
    let script = "import sys, beside\nprint(__file__, sys.argv, sys.path[0], beside.VALUE)\n";
    std::fs::create_dir(dir.path().join("app")).unwrap();
    std::fs::write(dir.path().join("app/main.py"), script).unwrap();
    std::fs::write(dir.path().join("app/beside.py"), "VALUE = 42\n").unwrap();
    let run = bare().host_files(dir.path()).args(["/app/main.py", "arg"]);
    assert_eq!(run.run().unwrap().success(), "/app/main.py ['/app/main.py', 'arg'] /app 42\n");
}

#[test]
fn a_script_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let output = bare().host_files(dir.path()).args(["/none.py"]).run().unwrap();
    assert_eq!(output.code, Some(2));
    assert!(output.stderr.contains("can't open file '/none.py'"), "{}", output.stderr);
}

#[test]
fn a_directory_with_a_main_runs() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("app")).unwrap();
    std::fs::write(dir.path().join("app/__main__.py"), "import helper; print(helper.X, __name__)").unwrap();
    std::fs::write(dir.path().join("app/helper.py"), "X = 'helped'").unwrap();
    let run = bare().host_files(dir.path()).args(["/app"]);
    assert_eq!(run.run().unwrap().success(), "helped __main__\n");
}

#[test]
fn a_library_module_runs() {
    let output = bare().args(["-m", "json.tool"]).stdin("{\"a\": [1]}").run().unwrap();
    assert_eq!(output.success(), "{\n    \"a\": [\n        1\n    ]\n}\n");
}

#[test]
fn exit_handlers_and_finalisers_run_and_buffers_are_flushed() {
    let code = "
import atexit, sys
class Last:
    def __del__(self): print('finalised')
last = Last()
atexit.register(print, 'at exit')
sys.stdout.write('no newline, ')
sys.exit(0)
";
    assert_eq!(python(&["-c", code]).success(), "no newline, at exit\nfinalised\n");
}

#[test]
fn files_left_open_are_written() {
    let dir = tempfile::tempdir().unwrap();
    for (ending, code) in [("pass", 0), ("sys.exit(4)", 4), ("raise ValueError", 1)] {
        let program = format!(
            "import sys, json\nf = open('/left', 'w'); f.write('{ending}')\n\
             json.kept = open('/kept', 'w'); json.kept.write('{ending}')\n{ending}"
        );
        let output = bare().host_files(dir.path()).args(["-c", &program]).run().unwrap();
        assert_eq!(output.code, Some(code), "{output:?}");
        for name in ["left", "kept"] {
            assert_eq!(std::fs::read_to_string(dir.path().join(name)).unwrap(), ending, "{name}");
        }
    }
}

#[test]
fn the_environment_is_the_runs_own() {
    let run = bare().env("GREETING", "hello").args(["-c", "import os; print(dict(os.environ))"]);
    assert_eq!(run.run().unwrap().success(), "{'GREETING': 'hello'}\n");
}

#[test]
fn randomness_differs_from_run_to_run() {
    let code = "
import random, uuid, tempfile, secrets, os
print(random.random(), uuid.uuid4(), uuid.uuid1(), secrets.token_hex(), os.urandom(4),
      next(tempfile._get_candidate_names()))
from multiprocessing import process
print(bytes(process.current_process().authkey))
";
    let (one, two) = (python(&["-c", code]).success(), python(&["-c", code]).success());
    for (a, b) in one.split(' ').zip(two.split(' ')) {
        assert_ne!(a, b);
    }
}

#[test]
fn the_process_looks_sane() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("tmp")).unwrap();
    let code = "
import sys, os, tempfile, time, locale
print(os.getcwd(), tempfile.gettempdir(), sys.getfilesystemencoding(), locale.getpreferredencoding(),
      sys.stdin.name, sys.stdout.name, sys.stdout.encoding, sys.stdout.line_buffering)
print(abs(time.time() - int(sys.argv[1])) < 60, time.monotonic() > 0)
";
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let output = bare().host_files(dir.path()).args(["-c", code, &now.to_string()]).run().unwrap();
    assert_eq!(output.success(), "/ /tmp utf-8 UTF-8 <stdin> <stdout> utf-8 False\nTrue True\n");
}

#[test]
fn deep_recursion_is_an_exception_not_a_trap() {
    let code = "
import json
def f(n): return f(n + 1)
for attempt in (lambda: f(0), lambda: json.loads('[' * 100000), lambda: eval('(' * 5000 + ')' * 5000)):
    try: attempt()
    except (RecursionError, MemoryError, SyntaxError) as error: print(type(error).__name__)
";
    assert_eq!(python(&["-c", code]).success().lines().count(), 3);
}

#[test]
fn all_the_standard_library_is_there() {
    let code = "
import asyncio, codecs, concurrent.futures, csv, ftplib, http.client, json, sqlite3, unittest.mock
import xml.etree.ElementTree, zipfile, zlib, zoneinfo, encodings.cp1252, email.mime.text, tomllib
print(len(sys.modules)) if (sys := __import__('sys')) else None
";
    let count = python(&["-c", code]).success();
    assert!(count.trim().parse::<usize>().unwrap() > 480, "{count}");
}

#[test]
fn a_module_imported_for_its_effect_has_it() {
    assert!(python(&["-c", "import this"]).success().starts_with("The Zen of Python"));
}

#[test]
fn sources_of_the_library_can_be_read() {
    let code = "import inspect, json; print(inspect.getsource(json.dumps).splitlines()[0])";
    assert!(python(&["-c", code]).success().starts_with("def dumps(obj, *"));
}

#[test]
fn sleeping_takes_its_time() {
    let code = "
import time, select
a = time.monotonic(); time.sleep(0.2); b = time.monotonic()
print(0.2 <= b - a < 5)
";
    assert_eq!(python(&["-c", code]).success(), "True\n");
}

#[test]
fn coroutines_run_with_and_without_network() {
    let code = "
import asyncio
async def part(n):
    await asyncio.sleep(n / 100); return n
async def main():
    print(await asyncio.gather(part(2), part(1)))
asyncio.run(main())
";
    for network in [Network::None, Network::Loopback] {
        let output = bare().network(network).args(["-c", code]).run().unwrap();
        assert_eq!(output.success(), "[2, 1]\n", "{network:?}");
    }
}

#[test]
fn an_endless_program_is_stopped() {
    let limit = std::time::Duration::from_secs(1);
    let output = bare().time_limit(limit).args(["-c", "while True: pass"]).run().unwrap();
    assert_eq!(output.code, None);
    assert!(output.trap.unwrap().contains("interrupt"));
}
