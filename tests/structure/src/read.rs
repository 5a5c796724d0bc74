//! Reads the files of a crate, from its roots along `mod` declarations.

use crate::crates::{Crate, Entry, File, FileNo, Floor, Import, ModuleNo, Reference, Scope};
use crate::test_only::is_test_only;
use crate::tokens::{self, name_of};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, Item, Lit, Meta, Token, UseTree, Visibility};

/// Why sources cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A file or directory cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A file cannot be parsed.
    #[error("{}, line {}: not Rust", path.display(), source.span().start().line)]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        #[source]
        source: syn::Error,
    },
    /// The directory has neither `lib.rs` nor `main.rs`.
    #[error("{} has neither lib.rs nor main.rs", dir.display())]
    NoRoot {
        /// The directory.
        dir: PathBuf,
    },
    /// A module has no file.
    #[error("{} declares the module {name}, which has no file", path.display())]
    NoModule {
        /// The file that declares the module.
        path: PathBuf,
        /// The module.
        name: String,
    },
}

/// Reads the library and the binaries whose sources are in `dir`.
pub(crate) fn read(dir: &Path) -> Result<Crate, ReadError> {
    let mut roots: Vec<PathBuf> =
        ["lib.rs", "main.rs"].into_iter().map(PathBuf::from).filter(|root| dir.join(root).exists()).collect();
    if dir.join("bin").exists() {
        let bins = files_below(&dir.join("bin"))?.into_iter().map(|bin| Path::new("bin").join(bin));
        roots.extend(bins.filter(|bin| bin.components().count() == 2 || bin.ends_with("main.rs")));
    }
    if roots.is_empty() {
        return Err(ReadError::NoRoot { dir: dir.to_owned() });
    }
    let mut krate = Crate::default();
    for root in roots {
        read_file(&mut krate, dir, root, Place { scope: Scope::Root, owns_dir: true, test_only: false })?;
    }
    Ok(krate)
}

/// The Rust files below `dir`, relative to it and sorted.
pub(crate) fn files_below(dir: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let failed = |source| ReadError::File { path: dir.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let name = PathBuf::from(entry.map_err(failed)?.file_name());
        let path = dir.join(&name);
        if path.is_dir() {
            found.extend(files_below(&path)?.into_iter().map(|below| name.join(below)));
        } else if name.extension().is_some_and(|extension| extension == "rs") {
            found.push(name);
        }
    }
    found.sort();
    Ok(found)
}

/// Where a file stands among the modules.
struct Place {
    scope: Scope,
    /// Whether its modules lie beside it, as for `lib.rs` and `mod.rs`, not in a directory of its name.
    owns_dir: bool,
    test_only: bool,
}

/// Reads the file at `path`, relative to `dir`, and those of its modules.
fn read_file(krate: &mut Crate, dir: &Path, path: PathBuf, place: Place) -> Result<ModuleNo, ReadError> {
    let full = dir.join(&path);
    let text =
        std::fs::read_to_string(&full).map_err(|source| ReadError::File { path: full.clone(), source })?;
    let syntax = syn::parse_file(&text).map_err(|source| ReadError::Syntax { path: full, source })?;

    let file = krate.files.len();
    let module = krate.add_module(file, place.scope);
    let test_only = place.test_only || is_test_only(&syntax.attrs);
    krate.files.push(File {
        path: path.clone(),
        summary: summary(&syntax.attrs),
        module,
        test_only,
        floors: Vec::new(),
    });
    let module_dir = if place.owns_dir {
        path.parent().unwrap_or(Path::new("")).to_owned()
    } else {
        path.with_extension("")
    };
    let mut reader = Reader {
        krate,
        dir,
        path: &path,
        file,
        module,
        module_dir,
        test_only,
        modules: HashMap::new(),
        failed: None,
    };
    reader.visit_file(&syntax);
    let (modules, failed) = (reader.modules, reader.failed);
    if let Some(error) = failed {
        return Err(error);
    }
    krate.files[file].floors = floors(&text, &syntax.items, &modules);
    Ok(module)
}

/// The groups in which `items` declare modules with files.
fn floors(text: &str, items: &[Item], modules: &HashMap<usize, ModuleNo>) -> Vec<Floor> {
    let lines: Vec<&str> = text.lines().collect();
    let mut floors: Vec<Floor> = Vec::new();
    let mut above = 0;
    let mut follows_module = false;
    for item in items {
        let (start, end) = (item.span().start().line, item.span().end().line);
        let gap: Vec<&str> = lines[above.min(start - 1)..start - 1].iter().map(|line| line.trim()).collect();
        above = end;
        let Item::Mod(declared) = item else {
            follows_module = false;
            continue;
        };
        let Some(&module) = modules.get(&start) else {
            // A module of tests, or one written in place.
            follows_module &= declared.content.is_none();
            continue;
        };
        match floors.last_mut() {
            Some(floor) if follows_module && gap.is_empty() => floor.modules.push(module),
            _ => floors.push(Floor { name: comment_above(&gap), modules: vec![module] }),
        }
        follows_module = true;
    }
    floors
}

/// The comment at the end of `gap`, without its slashes.
fn comment_above(gap: &[&str]) -> String {
    let lines: Vec<&str> = gap
        .iter()
        .rev()
        .map_while(|line| line.strip_prefix("//").filter(|rest| !rest.starts_with('/')).map(str::trim))
        .collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" ").trim_end_matches('.').to_owned()
}

/// The first sentence of a file's documentation.
fn summary(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| string_of(attribute, "doc"));
    let lines: Vec<String> =
        lines.map(|line| line.trim().to_owned()).take_while(|line| !line.is_empty()).collect();
    let text = lines.join(" ");
    text.split_once(". ").map_or(text.trim_end_matches('.'), |(first, _)| first).to_owned()
}

/// Walks one file.
struct Reader<'a> {
    krate: &'a mut Crate,
    dir: &'a Path,
    path: &'a Path,
    file: FileNo,
    /// The innermost module or block.
    module: ModuleNo,
    /// Where the files of the innermost module's modules lie, relative to `dir`.
    module_dir: PathBuf,
    /// Tests' code is walked for the files that it reaches, and for nothing else.
    test_only: bool,
    /// The modules with files that this one declares, by line.
    modules: HashMap<usize, ModuleNo>,
    failed: Option<ReadError>,
}

impl Reader<'_> {
    fn refer(&mut self, path: Vec<String>, line: usize) {
        if !self.test_only {
            self.krate.references.push(Reference { module: self.module, path, line });
        }
    }

    fn declare(&mut self, name: &proc_macro2::Ident, variants: Vec<String>) {
        if !self.test_only {
            self.krate.declare(self.module, name_of(name), Entry::Item(variants));
        }
    }

    /// Walks `inside`, which has `attributes`.
    fn attributed(&mut self, attributes: &[Attribute], inside: impl FnOnce(&mut Self)) {
        let around = self.test_only;
        self.test_only |= is_test_only(attributes);
        inside(self);
        self.test_only = around;
    }

    fn refer_in_tokens(&mut self, stream: proc_macro2::TokenStream, single: bool) {
        for found in tokens::paths(stream) {
            if single || found.path.len() > 1 {
                self.refer(found.path, found.line);
            }
        }
    }

    /// Adds the imports of a `use`, whose tree stands behind `prefix`.
    fn import(&mut self, prefix: &[String], tree: &UseTree, public: bool) {
        let with = |name: &proc_macro2::Ident| {
            let mut path = prefix.to_vec();
            if path.is_empty() || name != "self" {
                path.push(name_of(name));
            }
            path
        };
        let (path, name) = match tree {
            UseTree::Path(tree) => return self.import(&with(&tree.ident), &tree.tree, public),
            UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.import(prefix, tree, public));
            }
            UseTree::Name(name) => {
                let path = with(&name.ident);
                let last = path.last().cloned();
                (path, last)
            }
            UseTree::Rename(rename) => (with(&rename.ident), Some(name_of(&rename.rename))),
            UseTree::Glob(_) => (prefix.to_vec(), None),
        };
        let glob = name.is_none();
        let import = Import { module: self.module, path, public, glob, line: tree.span().start().line };
        self.krate.imports.push(import);
        let number = self.krate.imports.len() - 1;
        match name {
            Some(name) => self.krate.declare(self.module, name, Entry::Import(number)),
            None => self.krate.modules[self.module].globs.push(number),
        }
    }

    /// Walks `inside` with `module` as the innermost module.
    fn enter(&mut self, module: ModuleNo, module_dir: PathBuf, inside: impl FnOnce(&mut Self)) {
        let around = std::mem::replace(&mut self.module, module);
        let dir_around = std::mem::replace(&mut self.module_dir, module_dir);
        inside(self);
        self.module = around;
        self.module_dir = dir_around;
    }

    fn read_module(&mut self, declared: &syn::ItemMod, test_only: bool) -> Result<(), ReadError> {
        let name = name_of(&declared.ident);
        let beside = self.module_dir.join(format!("{name}.rs"));
        let within = self.module_dir.join(&name).join("mod.rs");
        let told = declared.attrs.iter().find_map(|attribute| string_of(attribute, "path"));
        let told = told.map(|told| self.path.parent().unwrap_or(Path::new("")).join(told));
        let candidates =
            told.map_or_else(|| vec![(beside, false), (within, true)], |told| vec![(told, true)]);
        let found = candidates.into_iter().find(|(path, _)| self.dir.join(path).exists());
        let (path, owns_dir) = found
            .ok_or_else(|| ReadError::NoModule { path: self.dir.join(self.path), name: name.clone() })?;

        let parent = self.krate.nearest(self.module);
        let place = Place { scope: Scope::Module(parent), owns_dir, test_only };
        let module = read_file(self.krate, self.dir, path, place)?;
        if !test_only {
            self.krate.declare(self.module, name, Entry::Module(module));
            self.modules.insert(declared.span().start().line, module);
        }
        Ok(())
    }
}

/// The string of an attribute such as `#[path = "file.rs"]`.
fn string_of(attribute: &Attribute, name: &str) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else { return None };
    let Expr::Lit(literal) = &pair.value else { return None };
    match &literal.lit {
        Lit::Str(text) if pair.path.is_ident(name) => Some(text.value()),
        _ => None,
    }
}

/// The attributes of an item, as far as items have any.
fn attributes_of(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        self.attributed(attributes_of(item), |reader| {
            match item {
                Item::Const(item) => reader.declare(&item.ident, Vec::new()),
                Item::Enum(item) => {
                    let variants = item.variants.iter().map(|variant| name_of(&variant.ident)).collect();
                    reader.declare(&item.ident, variants);
                }
                Item::Fn(item) => reader.declare(&item.sig.ident, Vec::new()),
                Item::Static(item) => reader.declare(&item.ident, Vec::new()),
                Item::Struct(item) => reader.declare(&item.ident, Vec::new()),
                Item::Trait(item) => reader.declare(&item.ident, Vec::new()),
                Item::Type(item) => reader.declare(&item.ident, Vec::new()),
                Item::Union(item) => reader.declare(&item.ident, Vec::new()),
                _ => {}
            }
            visit::visit_item(reader, item);
        });
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        // A path that begins with `::` is another crate's.
        if !self.test_only && item.leading_colon.is_none() {
            let public = match &item.vis {
                Visibility::Public(_) => true,
                Visibility::Restricted(restricted) => !restricted.path.is_ident("self"),
                Visibility::Inherited => false,
            };
            self.import(&[], &item.tree, public);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if let Some((_, items)) = &item.content {
            let scope = Scope::Module(self.krate.nearest(self.module));
            let module = self.krate.add_module(self.file, scope);
            let name = name_of(&item.ident);
            let module_dir = self.module_dir.join(&name);
            if !self.test_only {
                self.krate.declare(self.module, name, Entry::Module(module));
            }
            self.enter(module, module_dir, |reader| items.iter().for_each(|item| reader.visit_item(item)));
        } else if self.failed.is_none() {
            self.failed = self.read_module(item, self.test_only).err();
        }
    }

    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        if item.mac.path.is_ident("macro_rules")
            && let Some(name) = &item.ident
        {
            if !self.test_only {
                self.krate.macros.insert(name_of(name), self.file);
                self.refer_in_tokens(item.mac.tokens.clone(), true);
            }
        } else {
            visit::visit_item_macro(self, item);
        }
    }

    fn visit_block(&mut self, block: &'ast syn::Block) {
        if block.stmts.iter().any(|statement| matches!(statement, syn::Stmt::Item(_))) {
            let module = self.krate.add_module(self.file, Scope::Block(self.module));
            let module_dir = self.module_dir.clone();
            self.enter(module, module_dir, |reader| visit::visit_block(reader, block));
        } else {
            visit::visit_block(self, block);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let names = path.segments.iter().map(|segment| name_of(&segment.ident)).collect();
            self.refer(names, path.span().start().line);
        }
        visit::visit_path(self, path);
    }

    fn visit_pat_ident(&mut self, pattern: &'ast syn::PatIdent) {
        // A constant or a unit struct; variables are written small.
        let name = name_of(&pattern.ident);
        if name.starts_with(char::is_uppercase) {
            self.refer(vec![name], pattern.ident.span().start().line);
        }
        visit::visit_pat_ident(self, pattern);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        match call.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated) {
            Ok(arguments) => arguments.iter().for_each(|argument| self.visit_expr(argument)),
            Err(_) => self.refer_in_tokens(call.tokens.clone(), true),
        }
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.refer_in_tokens(list.tokens.clone(), false);
        }
    }

    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        let attributes = match item {
            syn::ImplItem::Const(item) => &item.attrs,
            syn::ImplItem::Fn(item) => &item.attrs,
            syn::ImplItem::Type(item) => &item.attrs,
            syn::ImplItem::Macro(item) => &item.attrs,
            _ => &Vec::new(),
        };
        self.attributed(attributes, |reader| visit::visit_impl_item(reader, item));
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        self.attributed(&local.attrs, |reader| visit::visit_local(reader, local));
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        self.attributed(&field.attrs, |reader| visit::visit_field(reader, field));
    }

    fn visit_field_value(&mut self, field: &'ast syn::FieldValue) {
        self.attributed(&field.attrs, |reader| visit::visit_field_value(reader, field));
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        self.attributed(&arm.attrs, |reader| visit::visit_arm(reader, arm));
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        self.attributed(&variant.attrs, |reader| visit::visit_variant(reader, variant));
    }
}
