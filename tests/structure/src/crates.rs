//! A crate as its sources write it: files, modules, their declarations, and the paths in the code.

use std::collections::HashMap;
use std::path::PathBuf;

/// Index into [`Crate::files`].
pub(crate) type FileNo = usize;
/// Index into [`Crate::modules`].
pub(crate) type ModuleNo = usize;
/// Index into [`Crate::imports`].
pub(crate) type ImportNo = usize;

/// Everything read from one source directory. A library and its binaries have a root each.
#[derive(Default)]
pub(crate) struct Crate {
    pub(crate) files: Vec<File>,
    pub(crate) modules: Vec<Module>,
    pub(crate) imports: Vec<Import>,
    pub(crate) references: Vec<Reference>,
    /// The file of each `macro_rules!`. Macros are found by textual order, not by path.
    pub(crate) macros: HashMap<String, FileNo>,
}

pub(crate) struct File {
    /// Relative to the source directory.
    pub(crate) path: PathBuf,
    /// The first sentence of its documentation.
    pub(crate) summary: String,
    pub(crate) module: ModuleNo,
    /// Whether only tests reach it.
    pub(crate) test_only: bool,
    /// The modules that it declares, in groups from the ground up.
    pub(crate) floors: Vec<Floor>,
}

/// A group of modules declared without a blank line or comment between them.
pub(crate) struct Floor {
    /// The comment above, empty if there is none.
    pub(crate) name: String,
    pub(crate) modules: Vec<ModuleNo>,
}

pub(crate) struct Module {
    pub(crate) file: FileNo,
    pub(crate) scope: Scope,
    pub(crate) entries: HashMap<String, Vec<Entry>>,
    pub(crate) globs: Vec<ImportNo>,
}

/// The place of a module.
#[derive(Clone, Copy)]
pub(crate) enum Scope {
    /// The root of a library or binary.
    Root,
    /// A module, in a file of its own or not, and its parent.
    Module(ModuleNo),
    /// A block with items of its own, and the module around it, whose names it sees.
    Block(ModuleNo),
}

/// A meaning of a name in a module. A name may have several: a module and a function, or one for
/// each of two configurations.
pub(crate) enum Entry {
    /// An item, and the variants if it is an enum.
    Item(Vec<String>),
    Module(ModuleNo),
    Import(ImportNo),
}

/// An import of one name, or of all names, by a `use`.
pub(crate) struct Import {
    pub(crate) module: ModuleNo,
    pub(crate) path: Vec<String>,
    /// Whether it is visible outside the module: a re-export.
    pub(crate) public: bool,
    pub(crate) glob: bool,
    pub(crate) line: usize,
}

/// A path in the code.
pub(crate) struct Reference {
    pub(crate) module: ModuleNo,
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
}

impl Crate {
    /// Adds a meaning of `name` in `module`.
    pub(crate) fn declare(&mut self, module: ModuleNo, name: String, entry: Entry) {
        self.modules[module].entries.entry(name).or_default().push(entry);
    }

    /// Adds an empty module.
    pub(crate) fn add_module(&mut self, file: FileNo, scope: Scope) -> ModuleNo {
        self.modules.push(Module { file, scope, entries: HashMap::new(), globs: Vec::new() });
        self.modules.len() - 1
    }

    /// The module that `self` means: blocks are none.
    pub(crate) fn nearest(&self, module: ModuleNo) -> ModuleNo {
        match self.modules[module].scope {
            Scope::Block(around) => self.nearest(around),
            Scope::Root | Scope::Module(_) => module,
        }
    }

    /// The module that `super` means; a root has none.
    pub(crate) fn parent(&self, module: ModuleNo) -> Option<ModuleNo> {
        match self.modules[self.nearest(module)].scope {
            Scope::Module(parent) => Some(parent),
            Scope::Root | Scope::Block(_) => None,
        }
    }

    /// The module that `crate` means.
    pub(crate) fn root(&self, module: ModuleNo) -> ModuleNo {
        self.parent(module).map_or_else(|| self.nearest(module), |parent| self.root(parent))
    }

    /// The modules from the root down to `module`.
    pub(crate) fn ancestry(&self, module: ModuleNo) -> Vec<ModuleNo> {
        let mut modules = self.parent(module).map_or_else(Vec::new, |parent| self.ancestry(parent));
        modules.push(self.nearest(module));
        modules
    }
}
