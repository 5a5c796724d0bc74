//! The provider `keyvalue`: in the stock command, and on buckets that outlive the programs.

use super::{composed, python, run, success};
use kvfs_compose::{Compose, Link, Provider};
use kvfs_tests::{Buckets, Program, engine, guests};
use wasmtime::component::Component;

const KEYVALUE: Provider = Provider::Keyvalue { bucket: None };

fn linked(guest: &[u8]) -> Component {
    let composed = Compose::new(guest).provider(KEYVALUE).link(Link::Core).build().expect("linking");
    engine::compile(engine::interruptible(), &composed.bytes).expect("compiling")
}

#[test]
fn it_runs_in_the_stock_command() {
    let dir = tempfile::tempdir().unwrap();
    let component = composed(dir.path(), guests::rust().unwrap(), KEYVALUE);
    // Other data in the bucket disturbs nobody.
    let options = ["-S", "keyvalue", "-S", "keyvalue-in-memory-data=mine=1"];
    // The program checks its own files and fails if they differ from what it wrote.
    let printed = success(&run(&options, &component, &["bench", "operations", "300"]));
    assert!(printed.contains("rename\t300\t") && printed.lines().count() > 10, "{printed}");
    // Without the option the host says what is missing.
    let without = run(&[], &component, &["bench", "operations", "300"]);
    assert!(String::from_utf8_lossy(&without.stderr).contains("wasi:keyvalue/store"), "{without:?}");
}

#[test]
fn python_finds_in_a_bucket_what_another_program_left_there() {
    let dir = tempfile::tempdir().unwrap();
    let composed = std::fs::read(python(dir.path(), KEYVALUE)).unwrap();
    let component = engine::compile(engine::interruptible(), &composed).unwrap();
    let buckets = Buckets::default();
    let python = |program: &str| {
        Program::new(&component).args(["-c", program]).buckets(buckets.clone()).run().unwrap().success()
    };
    let write = "
import os, sqlite3
os.mkdir('/d')
for n in range(100): open(f'/d/{n}', 'w').write(str(n) * 100)
open('/big', 'wb').write(bytes(3000000))
db = sqlite3.connect('/a.db')
db.execute('create table t(x)')
db.executemany('insert into t values(?)', ((i,) for i in range(1000)))
db.commit()
";
    assert_eq!(python(write), "");
    let read = "
import os, sqlite3
for n in range(100): assert open(f'/d/{n}').read() == str(n) * 100, n
print(sorted(os.listdir('/')), os.path.getsize('/big'), len(os.listdir('/d')))
print(sqlite3.connect('/a.db').execute('select sum(x) from t').fetchone()[0])
";
    assert_eq!(python(read), "['a.db', 'big', 'd'] 3000000 100\n499500\n");
    assert_eq!(python("import os, shutil; shutil.rmtree('/d'); os.unlink('/big'); os.unlink('/a.db')"), "");
    assert_eq!(python("import os; print(os.listdir('/'))"), "[]\n");
}

#[test]
fn a_program_ended_in_any_call_of_the_bucket_leaves_what_it_closed() {
    let component = linked(&std::fs::read(guests::python().unwrap()).unwrap());
    let writer = "
import itertools, os
start = int(open('/next').read()) if os.path.exists('/next') else 0
for n in itertools.count(start):
    with open('/next.new', 'w') as file: file.write(str(n))
    os.rename('/next.new', '/next')
    with open(f'/f{n % 20}', 'w') as file: file.write(str(n) * (1 + n % 3 * 1000))
    print(n, flush=True)
";
    let check = "
import os
closed = int(input())
found = int(open('/next').read())
assert found in (closed, closed + 1, closed + 2), (found, closed)
for n in range(max(0, closed - 17), closed + 1):
    text = open(f'/f{n % 20}').read()
    assert text == str(n) * (1 + n % 3 * 1000) or found > closed and n % 20 == found % 20, n
print('whole')
";
    let buckets = Buckets::default();
    let mut closed = -1;
    for round in 0..16u64 {
        // From the opening on, further with each round.
        let ended = buckets.ending_in_call(3 + round * 17 + round * round, round % 2 == 0);
        let output = Program::new(&component).args(["-c", writer]).buckets(ended.clone()).run().unwrap();
        assert!(output.code.is_none() && ended.has_ended(), "round {round}: {output:?}");
        if let Some(line) = output.stdout.lines().last() {
            closed = line.parse().unwrap();
        }
        if closed >= 0 {
            let checking = Program::new(&component).args(["-c", check]).stdin(format!("{closed}\n"));
            let checked = checking.buckets(buckets.clone()).run().unwrap();
            assert_eq!(checked.success(), "whole\n", "round {round}, {closed} closed");
        }
    }
    assert!(closed > 100, "only {closed} files were closed");
}

#[test]
fn the_newer_of_two_programs_owns_the_bucket_and_the_older_gets_an_error() {
    let component = linked(&std::fs::read(guests::python().unwrap()).unwrap());
    let buckets = Buckets::default();
    let older = "
import os, time
acknowledged = 0
try:
    while True:
        with open('/log', 'a') as file:
            file.write('x')
            file.flush()
            os.fsync(file.fileno())
        acknowledged += 1
        time.sleep(0.01)
except OSError as error:
    print(acknowledged, 'error', error.errno, flush=True)
";
    let running = Program::new(&component).args(["-c", older]).buckets(buckets.clone());
    let older = std::thread::spawn(move || running.run().unwrap());
    let newer = "import os; print(os.path.getsize('/log') if os.path.exists('/log') else 0)";
    let run = |program: &str| {
        Program::new(&component).args(["-c", program]).buckets(buckets.clone()).run().unwrap().success()
    };
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let seen: u64 = run(newer).trim().parse().unwrap();
    let output = older.join().unwrap();
    let acknowledged: u64 = output.stdout.split(' ').next().unwrap().parse().unwrap();
    assert!(output.stdout.contains("error") && acknowledged > 0, "{output:?}");
    // Every write acknowledged to the older program is stored, and the one under way may be. Then
    // it ends for good.
    assert!(seen == acknowledged || seen == acknowledged + 1, "{seen} seen, {acknowledged} acknowledged");
    assert_eq!(run(newer).trim().parse::<u64>().unwrap(), seen);
}
