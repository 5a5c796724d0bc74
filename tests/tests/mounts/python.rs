//! CPython with a packed standard library.

use super::{WAYS, joined, mounts, store};
use crate::python::bare;
use kvfs_tests::{Program, engine, guests};

/// Writes the sources that the interpreter carries, as a tree to pack.
const UNPACK: &str = "
import os, sys, zlib
from kvfs_python.library import library
for name, (file, package, source) in library.files.items():
    path = os.path.join('/', os.path.relpath(file, '/python'))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as out:
        out.write(zlib.decompress(source))
";

/// A module that exists only in the tree.
const PACKED_ONLY: &str = "import this_is_packed.inner as inner\nVALUE = inner.VALUE + 1\n";

const PROGRAM: &str = "
import errno, importlib, os, shutil, sys
sys.path.insert(0, '/lib/python')

# Only the image has this module.
import this_is_packed
print(this_is_packed.VALUE, this_is_packed.__file__)

# Modules loaded at build time are loaded again, from the image.
for name in [name for name in sys.modules if name.partition('.')[0] in ('json', 'csv')]:
    del sys.modules[name]
import csv, json
print(json.__file__, json.loads('[1, 2]'), csv.__file__)

# Inode numbers tell files of different mounts apart: copying a file onto itself would be refused.
shutil.copy('/lib/python/json/__init__.py', '/copied.py')
shutil.copy('/copied.py', '/work/again.py')
print(os.path.samefile('/copied.py', '/work/again.py'), open('/work/again.py').read() == open(json.__file__).read())
shutil.copytree('/lib/python/json', '/work/json')
print(sorted(os.listdir('/work/json')))
shutil.move('/copied.py', '/work/moved.py')
print(os.path.exists('/copied.py'), os.path.exists('/work/moved.py'))
try:
    open('/lib/python/json/__init__.py', 'w')
except OSError as error:
    print(error.errno, error.strerror)
print(sum(len(files) for _, _, files in os.walk('/lib/python')) > 500)

# A slash behind a name means the same below a mount as elsewhere.
open('/work/f', 'w').close()
os.symlink('json', '/work/link')
for call, *paths in [(os.unlink, '/work/f/'), (os.unlink, '/work/link/'), (os.rmdir, '/work/link/'),
                     (os.rename, '/work/f', '/work/g/'), (open, '/work/new/', 'w'), (os.mkdir, '/work/made/')]:
    try:
        call(*paths)
        print(call.__name__, *paths)
    except OSError as error:
        print(call.__name__, *paths, errno.errorcode[error.errno])
";

const EXPECTED: &str = "43 /lib/python/this_is_packed/__init__.py
/lib/python/json/__init__.py [1, 2] /lib/python/csv.py
False True
['__init__.py', '__main__.py', 'decoder.py', 'encoder.py', 'scanner.py', 'tool.py']
False True
69 Read-only file system
True
unlink /work/f/ ENOTDIR
unlink /work/link/ ENOTDIR
rmdir /work/link/ ENOTDIR
rename /work/f /work/g/ ENOTDIR
open /work/new/ w EISDIR
mkdir /work/made/
";

#[test]
fn modules_are_imported_from_a_packed_library_and_files_copied_between_mounts() {
    let dir = tempfile::tempdir().unwrap();
    let library = dir.path().join("library");
    std::fs::create_dir_all(library.join("this_is_packed")).unwrap();
    std::fs::write(library.join("this_is_packed/__init__.py"), PACKED_ONLY).unwrap();
    std::fs::write(library.join("this_is_packed/inner.py"), "VALUE = 42\n").unwrap();
    bare().host_files(&library).args(["-c", UNPACK]).run().unwrap().success();
    kvfs_tests::set_times(&library).unwrap();

    let guest = std::fs::read(guests::python().unwrap()).unwrap();
    for link in WAYS {
        let mounts = mounts(&["/=kv", "/lib/python=image:{}", "/work=kv:work"], &library);
        let composed = joined(&guest, link, mounts);
        let tree = composed.report.mounted[1].tree.clone().unwrap();
        assert!(tree.files > 500 && tree.file_bytes > 8 << 20, "{tree:?}");
        let component = engine::compile(engine::interruptible(), &composed.bytes).unwrap();
        let program = Program::new(&component).store(store()).args(["-B", "-c", PROGRAM]);
        assert_eq!(program.run().unwrap().success(), EXPECTED);
    }
}
