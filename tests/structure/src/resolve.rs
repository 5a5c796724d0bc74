//! Resolves paths through imports and re-exports to the files that define their names.

use crate::crates::{Crate, Entry, FileNo, Import, ImportNo, ModuleNo, Scope};

/// The items that a path names, and the imports on the way to them.
pub(crate) struct Meaning {
    pub(crate) items: Vec<Definition>,
    pub(crate) imports: Vec<ImportNo>,
}

/// A name and the file that defines it.
pub(crate) struct Definition {
    pub(crate) file: FileNo,
    pub(crate) name: String,
}

/// Resolves `path` where `module` is the innermost module.
///
/// A path that ends at a module names no item, nor does a path into another crate.
pub(crate) fn meaning(krate: &Crate, module: ModuleNo, path: &[String]) -> Meaning {
    let mut search = Search { krate, open: Vec::new(), imports: Vec::new() };
    let targets = search.path(module, path).unwrap_or_default();
    let items = targets.into_iter().filter_map(|target| match target {
        Target::Item(item) => Some(Definition { file: item.file, name: item.name }),
        Target::Module(_) => None,
    });
    Meaning { items: items.collect(), imports: search.imports }
}

enum Target<'a> {
    Item(Found<'a>),
    Module(ModuleNo),
}

struct Found<'a> {
    file: FileNo,
    name: String,
    variants: &'a [String],
}

/// One search. Imports may lead back to themselves, so it enters none that it is still following.
struct Search<'a> {
    krate: &'a Crate,
    open: Vec<ImportNo>,
    imports: Vec<ImportNo>,
}

impl<'a> Search<'a> {
    /// Resolves `path` in `module`; none if the path is another crate's.
    fn path(&mut self, module: ModuleNo, path: &[String]) -> Option<Vec<Target<'a>>> {
        let (first, mut rest) = path.split_first()?;
        let mut targets = match first.as_str() {
            "crate" => vec![Target::Module(self.krate.root(module))],
            "self" => vec![Target::Module(self.krate.nearest(module))],
            "super" => vec![Target::Module(self.krate.parent(module)?)],
            "Self" => return None,
            name => match self.name_around(module, name) {
                Some(targets) => targets,
                None if rest.is_empty() => vec![self.macro_named(name)?],
                None => return None,
            },
        };
        while let Some((name, behind)) = rest.split_first() {
            rest = behind;
            let modules: Vec<ModuleNo> = targets
                .iter()
                .filter_map(|target| match target {
                    Target::Module(module) => Some(*module),
                    Target::Item(_) => None,
                })
                .collect();
            // An associated item or a variant is in its type's file.
            let Some(&module) = modules.first() else { break };
            let found: Vec<_> = modules.iter().map(|&module| self.name_below(module, name)).collect();
            if found.iter().all(Option::is_none) {
                // A type with the module's name may have it. Otherwise a macro must have defined
                // it.
                targets.retain(|target| matches!(target, Target::Item(_)));
                if targets.is_empty() {
                    targets.push(self.made_by_macro(module, name));
                }
                break;
            }
            targets = found.into_iter().flatten().flatten().collect();
            if targets.is_empty() {
                return None;
            }
        }
        Some(targets)
    }

    /// Resolves `name` behind `module::`.
    fn name_below(&mut self, module: ModuleNo, name: &str) -> Option<Vec<Target<'a>>> {
        match name {
            "self" => Some(vec![Target::Module(module)]),
            "super" => Some(vec![Target::Module(self.krate.parent(module)?)]),
            name => self.name(module, name),
        }
    }

    /// Resolves `name` where it stands in `module`. A block sees the names around it.
    fn name_around(&mut self, module: ModuleNo, name: &str) -> Option<Vec<Target<'a>>> {
        let found = self.name(module, name);
        let declared = &self.krate.modules[module];
        match declared.scope {
            Scope::Block(around) if !declared.entries.contains_key(name) => match found {
                Some(targets) if !targets.is_empty() => Some(targets),
                _ => self.name_around(around, name).or(found),
            },
            _ => found,
        }
    }

    /// Resolves `name` among what `module` declares and imports. None if it is not there, an empty
    /// list if it is another crate's.
    fn name(&mut self, module: ModuleNo, name: &str) -> Option<Vec<Target<'a>>> {
        let krate = self.krate;
        let declared = &krate.modules[module];
        if let Some(entries) = declared.entries.get(name) {
            let mut targets = Vec::new();
            let mut is_known = false;
            for entry in entries {
                match entry {
                    Entry::Item(variants) => {
                        let file = declared.file;
                        targets.push(Target::Item(Found { file, name: name.to_owned(), variants }));
                    }
                    Entry::Module(module) => targets.push(Target::Module(*module)),
                    Entry::Import(import) => {
                        if let Some(found) = self.follow(*import) {
                            is_known = true;
                            targets.extend(found);
                        }
                    }
                }
            }
            return (is_known || !targets.is_empty()).then_some(targets);
        }
        let mut is_open = false;
        for &glob in &declared.globs {
            let Some(sources) = self.follow(glob) else { continue };
            is_open |= sources.is_empty();
            for source in sources {
                match source {
                    Target::Item(item) if item.variants.iter().any(|variant| variant == name) => {
                        return Some(vec![Target::Item(item)]);
                    }
                    Target::Item(_) => {}
                    Target::Module(module) => {
                        self.open.push(glob);
                        let found = self.name(module, name);
                        self.open.pop();
                        if found.is_some() {
                            self.imports.push(glob);
                            return found;
                        }
                    }
                }
            }
        }
        is_open.then(Vec::new)
    }

    /// Resolves an import. None while it is being followed, an empty list if it is another crate's.
    fn follow(&mut self, import: ImportNo) -> Option<Vec<Target<'a>>> {
        if self.open.contains(&import) {
            return None;
        }
        let Import { module, path, glob, .. } = &self.krate.imports[import];
        self.open.push(import);
        let targets = self.path(*module, path);
        self.open.pop();
        if !glob {
            self.imports.push(import);
        }
        Some(targets.unwrap_or_default())
    }

    fn macro_named(&self, name: &str) -> Option<Target<'a>> {
        let file = *self.krate.macros.get(name)?;
        Some(Target::Item(Found { file, name: name.to_owned(), variants: &[] }))
    }

    /// Takes a name that `module` does not declare for a macro, or for an item that a macro defines
    /// there.
    fn made_by_macro(&self, module: ModuleNo, name: &str) -> Target<'a> {
        self.macro_named(name).unwrap_or_else(|| {
            let file = self.krate.modules[module].file;
            Target::Item(Found { file, name: name.to_owned(), variants: &[] })
        })
    }
}
