//! What the names of types mean, as far as shared state is concerned.
//!
//! Types are told by their last part, since they are imported; imports that rename, and aliases,
//! are followed. A `Mutex`, `RwLock` or `Condvar` is an internal lock only when it comes from
//! `crate::platform`: `volt::sync` has types of the same names, which are machines themselves. So
//! is a type called `Atomic...` that the list has.

use std::collections::{HashMap, HashSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Item, ItemType, ItemUse, Type};

use crate::list::Machine;
use crate::source::{Gates, Scope, Source, flatten, plain, resolve};

/// What the names of types mean in each module, as far as shared state is concerned.
#[derive(Default)]
pub struct Meanings {
    /// By module and name, the path that an import binds, from the crate's root where it can.
    imports: HashMap<(Vec<String>, String), Vec<String>>,
    /// The modules that import everything from a module of the platform.
    globs: HashSet<Vec<String>>,
    /// The aliases of types that hold shared state.
    aliases: HashSet<Vec<String>>,
    /// The types that are machines of the list.
    machines: HashSet<String>,
}

impl Meanings {
    /// The type of shared state that `segments` name in `module`, if they do.
    fn shared(&self, segments: &[String], module: &[String]) -> Option<String> {
        let (first, rest) = segments.split_first()?;
        let path = match self.imports.get(&(module.to_vec(), first.clone())) {
            Some(path) => [path.as_slice(), rest].concat(),
            None => resolve(segments, module).unwrap_or_else(|| [module, segments].concat()),
        };
        let name = path.last()?;
        let is_platform = path.first().is_some_and(|top| top == "platform")
            || (rest.is_empty() && self.globs.contains(module));
        // A plain statistic decides nothing, so it is no state.
        if is_platform && name == "Counter" {
            return None;
        }
        let is_shared = match name.as_str() {
            "Futex" | "UnsafeCell" => true,
            "Mutex" | "RwLock" | "Condvar" => is_platform,
            name => name.starts_with("Atomic") && !self.machines.contains(name),
        };
        (is_shared || self.aliases.contains(&path)).then(|| name.clone())
    }

    /// The first type of shared state that `kind` mentions.
    pub fn shared_in(&self, kind: &Type, module: &[String]) -> Option<String> {
        let mut mention = Mention { meanings: self, module, found: None };
        mention.visit_type(kind);
        mention.found
    }

    /// The type of shared state in the tokens of a macro that defines types or statics in a form
    /// that is no item yet.
    pub fn shared_in_tokens(&self, tokens: &TokenStream, module: &[String]) -> Option<String> {
        let mut words = Vec::new();
        collect_words(tokens.clone(), &mut words);
        let defines = |word: &String| matches!(word.as_str(), "struct" | "enum" | "static");
        if !words.iter().any(defines) {
            return None;
        }
        words.into_iter().find_map(|word| self.shared(&[word], module))
    }
}

fn collect_words(tokens: TokenStream, words: &mut Vec<String>) {
    for tree in tokens {
        match tree {
            TokenTree::Group(group) => collect_words(group.stream(), words),
            TokenTree::Ident(ident) => words.push(plain(&ident)),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// Looks for shared state in a type.
struct Mention<'a> {
    meanings: &'a Meanings,
    module: &'a [String],
    found: Option<String>,
}

impl<'ast> Visit<'ast> for Mention<'_> {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|part| plain(&part.ident)).collect();
        // It holds nothing, whatever it names.
        if segments.last().is_some_and(|last| last == "PhantomData") {
            return;
        }
        if self.found.is_none() {
            self.found = self.meanings.shared(&segments, self.module);
        }
        visit::visit_path(self, path);
    }
}

/// Whether code stands outside the production build.
pub fn is_apart(gates: Gates) -> bool {
    gates.test || gates.loom || gates.shuttle
}

/// Collects the imports and type aliases of production code.
struct Declarations<'ast> {
    scope: Scope,
    meanings: Meanings,
    aliases: Vec<(Vec<String>, &'ast ItemType)>,
}

impl<'ast> Visit<'ast> for Declarations<'ast> {
    fn visit_item(&mut self, item: &'ast Item) {
        let outer = self.scope.clone();
        self.scope.enter(item);
        if !is_apart(self.scope.gates) {
            visit::visit_item(self, item);
        }
        self.scope = outer;
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let module = &self.scope.module;
        flatten(&item.tree, &[], &mut |path, bound, _| {
            let path = resolve(&path, module).unwrap_or(path);
            if bound != "*" {
                let place = (module.clone(), bound);
                self.meanings.imports.insert(place, path);
            } else if path.first().is_some_and(|top| top == "platform") {
                self.meanings.globs.insert(module.clone());
            }
        });
    }

    fn visit_item_type(&mut self, item: &'ast ItemType) {
        self.aliases.push((self.scope.module.clone(), item));
    }
}

/// What names mean in `sources`, given the machines of the list.
pub fn meanings(sources: &[Source], list: &[Machine]) -> Meanings {
    let mut aliases = Vec::new();
    let mut meanings = Meanings {
        machines: list.iter().map(|machine| machine.kind.clone()).collect(),
        ..Meanings::default()
    };
    for source in sources {
        if is_apart(source.scope.gates) {
            continue;
        }
        let mut declarations = Declarations { scope: source.scope.clone(), meanings, aliases };
        declarations.visit_file(&source.file);
        (meanings, aliases) = (declarations.meanings, declarations.aliases);
    }
    // An alias of an alias is known once the inner one is.
    loop {
        let known = meanings.aliases.len();
        for (module, item) in &aliases {
            if meanings.shared_in(&item.ty, module).is_some() {
                let path = [module.as_slice(), &[plain(&item.ident)]].concat();
                meanings.aliases.insert(path);
            }
        }
        if meanings.aliases.len() == known {
            return meanings;
        }
    }
}
