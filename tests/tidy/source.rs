//! The source files below `src/`, parsed, each with its module path and the cfgs it stands under.
//!
//! `syn` sees code that is configured out, which is why these tests parse instead of asking the
//! compiler. A `#[path]` attribute on a module is not followed: only the platform needs one, and
//! no rule depends on the cfgs of the platform's files.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::Ident;
use syn::punctuated::Punctuated;
use syn::{Attribute, Item, Meta, Token, UseTree};

/// The cfgs that a piece of code requires, of those that change what it may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gates {
    /// Built for tests only.
    pub test: bool,
    /// Built under `--cfg volt_loom` only.
    pub loom: bool,
    /// Built under `--cfg volt_shuttle` only.
    pub shuttle: bool,
}

impl Gates {
    /// What the `cfg` attributes among `attributes` require.
    pub fn of(attributes: &[Attribute]) -> Gates {
        let mut gates = Gates::default();
        for attribute in attributes {
            if !attribute.path().is_ident("cfg") {
                continue;
            }
            if let Ok(predicate) = attribute.parse_args::<Meta>() {
                gates = gates.and(Gates {
                    test: requires(&predicate, "test"),
                    loom: requires(&predicate, "volt_loom"),
                    shuttle: requires(&predicate, "volt_shuttle"),
                });
            }
        }
        gates
    }

    /// The gates of code that stands under both.
    pub fn and(self, other: Gates) -> Gates {
        Gates {
            test: self.test || other.test,
            loom: self.loom || other.loom,
            shuttle: self.shuttle || other.shuttle,
        }
    }

    /// The gates of a file that is declared twice, once under each.
    fn either(self, other: Gates) -> Gates {
        Gates {
            test: self.test && other.test,
            loom: self.loom && other.loom,
            shuttle: self.shuttle && other.shuttle,
        }
    }
}

/// Whether `predicate` can only hold where `cfg` holds.
fn requires(predicate: &Meta, cfg: &str) -> bool {
    match predicate {
        Meta::Path(path) => path.is_ident(cfg),
        Meta::NameValue(_) => false,
        Meta::List(list) => {
            let parser = Punctuated::<Meta, Token![,]>::parse_terminated;
            let Ok(inner) = list.parse_args_with(parser) else {
                return false;
            };
            if list.path.is_ident("all") {
                inner.iter().any(|inner| requires(inner, cfg))
            } else if list.path.is_ident("any") {
                !inner.is_empty() && inner.iter().all(|inner| requires(inner, cfg))
            } else {
                false
            }
        }
    }
}

/// Where a piece of code stands.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The cfgs it requires, those of the enclosing modules included.
    pub gates: Gates,
    /// Its module, as a path from the crate's root.
    pub module: Vec<String>,
}

impl Scope {
    /// Steps into `item`: its cfgs and, for a module, its name.
    pub fn enter(&mut self, item: &Item) {
        self.gates = self.gates.and(Gates::of(attributes(item)));
        if let Item::Mod(module) = item {
            self.module.push(plain(&module.ident));
        }
    }
}

fn attributes(item: &Item) -> &[Attribute] {
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

/// One parsed file.
pub struct Source {
    /// Its path from the repository's root, with `/` between the parts.
    pub path: String,
    /// The syntax tree.
    pub file: syn::File,
    /// The module that the file is, and the cfgs it requires.
    pub scope: Scope,
}

impl Source {
    /// `file:line`, as reports begin.
    pub fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path)
    }

    /// Whether the file belongs to the platform, the one layer that may go below the seam.
    pub fn is_platform(&self) -> bool {
        self.scope.module.first().is_some_and(|top| top == "platform")
    }
}

/// The root of the repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every `.rs` file below `directory`, sorted.
pub fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![directory.to_path_buf()];
    while let Some(directory) = pending.pop() {
        let entries = fs::read_dir(&directory)
            .unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
        for entry in entries {
            let path = entry.expect("a folder's entry can be read").path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The path of `path` from the repository's root, with `/` between the parts, and its text.
pub fn read(path: &Path) -> (String, String) {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let relative = path.strip_prefix(root()).unwrap_or(path);
    let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
    (parts.join("/"), text)
}

/// Every file below `src/`.
///
/// # Panics
///
/// When there is none, so that no rule passes by looking at nothing, or when one does not parse.
pub fn load() -> Vec<Source> {
    let files: Vec<_> = rust_files(&root().join("src")).iter().map(|path| read(path)).collect();
    assert!(!files.is_empty(), "no source file found below src/");
    parse_all(files).unwrap_or_else(|error| panic!("{error}"))
}

/// Parses `files`, each a path and a text, and hands each file the cfgs of its declaration.
///
/// # Errors
///
/// The place and reason of the first file that does not parse.
pub fn parse_all(files: Vec<(String, String)>) -> Result<Vec<Source>, String> {
    let mut sources = Vec::new();
    for (path, text) in files {
        let file = syn::parse_file(&text)
            .map_err(|error| format!("{path}:{}: {error}", error.span().start().line))?;
        let scope = Scope { gates: Gates::of(&file.attrs), module: module_of(&path) };
        sources.push(Source { path, file, scope });
    }

    // `#[cfg(test)] mod x;` puts the file of `x`, and every file below it, under that cfg; so does
    // `#![cfg(test)]` at the top of a file.
    let mut declared = HashMap::new();
    for source in &sources {
        declare(&source.file.items, &source.scope, &mut declared);
    }
    let own: HashMap<_, _> =
        sources.iter().map(|source| (source.scope.module.clone(), source.scope.gates)).collect();
    for source in &mut sources {
        let module = &source.scope.module;
        let mut gates = source.scope.gates;
        for depth in 0..=module.len() {
            for table in [&declared, &own] {
                if let Some(outer) = table.get(&module[..depth]) {
                    gates = gates.and(*outer);
                }
            }
        }
        source.scope.gates = gates;
    }
    Ok(sources)
}

/// Records the cfgs of the modules that `items` declare, by module path.
fn declare(items: &[Item], outer: &Scope, declared: &mut HashMap<Vec<String>, Gates>) {
    for item in items {
        let Item::Mod(module) = item else { continue };
        let mut scope = outer.clone();
        scope.enter(item);
        declared
            .entry(scope.module.clone())
            .and_modify(|gates| *gates = gates.either(scope.gates))
            .or_insert(scope.gates);
        if let Some((_, items)) = &module.content {
            declare(items, &scope, declared);
        }
    }
}

/// The module path that a file's place gives it. The crate's root is the empty path.
fn module_of(path: &str) -> Vec<String> {
    let inner = path.strip_prefix("src/").unwrap_or(path);
    let inner = inner.strip_suffix(".rs").unwrap_or(inner);
    let mut module: Vec<String> = inner.split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    if module == ["lib"] || module == ["main"] {
        module.clear();
    }
    module
}

/// An identifier's text, without the mark of a raw one.
pub fn plain(ident: &Ident) -> String {
    let text = ident.to_string();
    match text.strip_prefix("r#") {
        Some(plain) => plain.to_owned(),
        None => text,
    }
}

/// Calls `each` for every leaf of a use-tree: the whole path (`*` for a glob), the name that it
/// binds, and its line.
pub fn flatten(
    tree: &UseTree,
    prefix: &[String],
    each: &mut dyn FnMut(Vec<String>, String, usize),
) {
    let mut path = prefix.to_vec();
    match tree {
        UseTree::Path(inner) => {
            path.push(plain(&inner.ident));
            flatten(&inner.tree, &path, each);
        }
        UseTree::Group(group) => {
            for inner in &group.items {
                flatten(inner, &path, each);
            }
        }
        UseTree::Glob(glob) => {
            path.push("*".to_owned());
            each(path, "*".to_owned(), glob.star_token.span.start().line);
        }
        UseTree::Name(leaf) => {
            let line = leaf.ident.span().start().line;
            // `use a::b::{self}` names `a::b`.
            if leaf.ident != "self" {
                path.push(plain(&leaf.ident));
            }
            let bound = path.last().cloned().unwrap_or_default();
            each(path, bound, line);
        }
        UseTree::Rename(leaf) => {
            let line = leaf.ident.span().start().line;
            if leaf.ident != "self" {
                path.push(plain(&leaf.ident));
            }
            each(path, plain(&leaf.rename), line);
        }
    }
}

/// The path from the crate's root of what `segments` mean in `module`, or nothing when they start
/// neither at the root (by `crate` or the library's own name) nor at `self` or `super`.
pub fn resolve(segments: &[String], module: &[String]) -> Option<Vec<String>> {
    let mut rest = segments;
    let mut path = match segments.first()?.as_str() {
        "crate" | "volt" => {
            rest = &rest[1..];
            Vec::new()
        }
        "self" => {
            rest = &rest[1..];
            module.to_vec()
        }
        "super" => module.to_vec(),
        _ => return None,
    };
    while let Some((first, after)) = rest.split_first()
        && first == "super"
    {
        path.pop();
        rest = after;
    }
    path.extend_from_slice(rest);
    Some(path)
}

/// Fails with every breach on a line of its own, when there is one.
#[track_caller]
pub fn assert_none(breaches: &[String]) {
    assert!(breaches.is_empty(), "\n{}", breaches.join("\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(parts: &[&str]) -> Vec<String> {
        parts.iter().map(|&part| part.to_owned()).collect()
    }

    fn gates_of(text: &str) -> Gates {
        let file = syn::parse_file(text).expect("the sample parses");
        Gates::of(attributes(&file.items[0]))
    }

    #[test]
    fn a_cfg_counts_only_where_it_is_required() {
        assert!(gates_of("#[cfg(test)] mod x {}").test);
        assert!(gates_of("#[cfg(all(test, not(miri)))] fn x() {}").test);
        assert!(gates_of("#[cfg(any(all(test, unix), test))] fn x() {}").test);
        assert!(!gates_of("#[cfg(not(test))] mod x {}").test);
        assert!(!gates_of("#[cfg(any(test, feature = \"sim\"))] mod x {}").test);
        let model = gates_of("#[cfg(all(test, volt_loom))] mod x {}");
        assert!(model.test && model.loom && !model.shuttle);
        assert!(gates_of("#[cfg(volt_shuttle)] mod x {}").shuttle);
    }

    #[test]
    fn a_file_takes_the_cfgs_of_its_declaration() {
        let files = [
            ("src/lib.rs", "mod a; #[cfg(unix)] mod b; #[cfg(test)] mod b;"),
            ("src/a/mod.rs", "#[cfg(all(test, volt_loom))] mod models;"),
            ("src/a/models.rs", "mod inner;"),
            ("src/a/models/inner.rs", ""),
            ("src/b.rs", ""),
        ];
        let files = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
        let sources = parse_all(files.into()).expect("the samples parse");
        let gated: Vec<_> = sources
            .iter()
            .filter(|source| source.scope.gates.loom && source.scope.gates.test)
            .map(|source| source.path.as_str())
            .collect();
        assert_eq!(gated, ["src/a/models.rs", "src/a/models/inner.rs"]);
        assert!(!sources[4].scope.gates.test);
    }

    #[test]
    fn a_file_that_does_not_parse_is_named() {
        let files = vec![("src/a.rs".to_owned(), "\nfn (".to_owned())];
        let error = parse_all(files).err().expect("the sample does not parse");
        assert!(error.starts_with("src/a.rs:2: "), "{error}");
    }

    #[test]
    fn paths_resolve_from_where_they_are_written() {
        let module = owned(&["net", "tcp"]);
        let resolved = |parts: &[&str]| resolve(&owned(parts), &module);
        assert_eq!(resolved(&["crate", "time", "Sleep"]), Some(owned(&["time", "Sleep"])));
        assert_eq!(resolved(&["self", "x"]), Some(owned(&["net", "tcp", "x"])));
        assert_eq!(resolved(&["super", "super", "time"]), Some(owned(&["time"])));
        assert_eq!(resolved(&["std", "time"]), None);
    }
}
