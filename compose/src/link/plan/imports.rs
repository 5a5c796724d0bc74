//! Plans the imports of several parts.

use super::planner::Planner;
use crate::link::error::NotLinkable;
use crate::link::items::{Item, ItemId, Items, Space};
use crate::link::job::Part;
use crate::link::source::Replacement;
use std::collections::{HashMap, HashSet};
use wasmparser::{ComponentType, ComponentTypeRef, InstanceTypeDeclaration};

/// Lists the exports that an import requires.
fn exports_of_import(items: &Items<'_>, id: ItemId) -> HashSet<String> {
    let Ok(Item::Import(import)) = items.get(id) else { return HashSet::new() };
    let ComponentTypeRef::Instance(ty) = import.ty else { return HashSet::new() };
    let Ok(Item::Type(ComponentType::Instance(declarations))) = items.get((Space::Type, ty)) else {
        return HashSet::new();
    };
    let names = declarations.iter().filter_map(|declaration| match declaration {
        InstanceTypeDeclaration::Export { name, .. } => Some(name.name.to_owned()),
        _ => None,
    });
    names.collect()
}

impl Planner<'_> {
    /// Imports an interface that several parts import once, by the import that has all that any of
    /// them needs.
    pub(super) fn plan_shared_imports(&mut self) -> Result<(), NotLinkable> {
        let mut by_name: HashMap<String, Vec<(Part, ItemId)>> = HashMap::new();
        let mut parts = vec![Part::Adapter, Part::Guest];
        parts.extend(self.provider.as_ref().map(|_| Part::Provider));
        for part in parts {
            for (index, item) in (0..).zip(self.items(part).all(Space::Instance)) {
                let id = (Space::Instance, index);
                let Item::Import(import) = item else { continue };
                let name = match self.replacements.get(&(part, id)) {
                    Some(Replacement::Rename(name)) => name.clone(),
                    Some(_) => continue,
                    None if self.is_linked_store(part, import.name.name) => continue,
                    None => import.name.name.to_owned(),
                };
                by_name.entry(name).or_default().push((part, id));
            }
        }
        for (name, importers) in by_name.into_iter().filter(|(_, importers)| importers.len() > 1) {
            let needs = |(part, id): &(Part, ItemId)| exports_of_import(self.items(*part), *id);
            let all: HashSet<String> = importers.iter().flat_map(needs).collect();
            let fullest = importers.iter().find(|importer| needs(importer).len() == all.len()).copied();
            let (part, id) = fullest
                .ok_or_else(|| NotLinkable::new(format!("two parts import different functions of {name}")))?;
            for (other, other_id) in importers {
                if (other, other_id) != (part, id) {
                    self.replace(other, other_id, Replacement::Same(part, id));
                }
            }
        }
        Ok(())
    }
}
