//! Walks the syntax of one file: its declarations, imports and paths, and its modules with files.

use crate::crates::{Crate, Entry, FileNo, Import, ModuleNo, Reference, Scope};
use crate::headings::string_of;
use crate::test_only::is_test_only;
use crate::tokens::{self, name_of};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, Item, Meta, Token, UseTree, Visibility};

/// A module with a file of its own.
pub(crate) struct Child {
    pub(crate) name: String,
    /// The module or block that declares it.
    pub(crate) declared_in: ModuleNo,
    /// The module that `super` means in it.
    pub(crate) parent: ModuleNo,
    /// The modules around it that have no file of their own.
    pub(crate) around: Vec<String>,
    /// The file in its `#[path]`, if any.
    pub(crate) path_attribute: Option<String>,
    pub(crate) line: usize,
    pub(crate) test_only: bool,
}

/// Adds to `krate` what the file of `module` declares, imports and names. Returns its modules that
/// have files.
pub(crate) fn walk(krate: &mut Crate, syntax: &syn::File, module: ModuleNo, test_only: bool) -> Vec<Child> {
    let file = krate.modules[module].file;
    let mut walker = Walker { krate, file, module, around: Vec::new(), test_only, children: Vec::new() };
    walker.visit_file(syntax);
    walker.children
}

struct Walker<'a> {
    krate: &'a mut Crate,
    file: FileNo,
    /// The innermost module or block.
    module: ModuleNo,
    /// The modules around the current place, inside the file.
    around: Vec<String>,
    /// Tests are walked only for the files that they reach.
    test_only: bool,
    children: Vec<Child>,
}

impl Walker<'_> {
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
    fn enter(&mut self, module: ModuleNo, inside: impl FnOnce(&mut Self)) {
        let around = std::mem::replace(&mut self.module, module);
        inside(self);
        self.module = around;
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

impl<'ast> Visit<'ast> for Walker<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        self.attributed(attributes_of(item), |walker| {
            match item {
                Item::Const(item) => walker.declare(&item.ident, Vec::new()),
                Item::Enum(item) => {
                    let variants = item.variants.iter().map(|variant| name_of(&variant.ident)).collect();
                    walker.declare(&item.ident, variants);
                }
                Item::Fn(item) => walker.declare(&item.sig.ident, Vec::new()),
                Item::Static(item) => walker.declare(&item.ident, Vec::new()),
                Item::Struct(item) => walker.declare(&item.ident, Vec::new()),
                Item::Trait(item) => walker.declare(&item.ident, Vec::new()),
                Item::Type(item) => walker.declare(&item.ident, Vec::new()),
                Item::Union(item) => walker.declare(&item.ident, Vec::new()),
                _ => {}
            }
            visit::visit_item(walker, item);
        });
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        // A path that starts with `::` is another crate's.
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
        let name = name_of(&item.ident);
        let parent = self.krate.nearest(self.module);
        let Some((_, items)) = &item.content else {
            self.children.push(Child {
                name,
                declared_in: self.module,
                parent,
                around: self.around.clone(),
                path_attribute: item.attrs.iter().find_map(|attribute| string_of(attribute, "path")),
                line: item.span().start().line,
                test_only: self.test_only,
            });
            return;
        };
        let module = self.krate.add_module(self.file, Scope::Module(parent));
        if !self.test_only {
            self.krate.declare(self.module, name.clone(), Entry::Module(module));
        }
        self.around.push(name);
        self.enter(module, |walker| items.iter().for_each(|item| walker.visit_item(item)));
        self.around.pop();
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
            self.enter(module, |walker| visit::visit_block(walker, block));
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
        // A constant or a unit struct; variables are in lower case.
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
        self.attributed(attributes, |walker| visit::visit_impl_item(walker, item));
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        self.attributed(&local.attrs, |walker| visit::visit_local(walker, local));
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        self.attributed(&field.attrs, |walker| visit::visit_field(walker, field));
    }

    fn visit_field_value(&mut self, field: &'ast syn::FieldValue) {
        self.attributed(&field.attrs, |walker| visit::visit_field_value(walker, field));
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        self.attributed(&arm.attrs, |walker| visit::visit_arm(walker, arm));
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        self.attributed(&variant.attrs, |walker| visit::visit_variant(walker, variant));
    }
}
