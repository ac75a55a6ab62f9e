//! The layers: a module names its own layer and those below it, never one above.

use std::collections::{BTreeMap, HashMap};

use syn::Item;

use crate::names::names;
use crate::source::{Gates, Source, assert_none, load, plain, resolve};

/// The top-level modules, lowest layer first. Modules of one layer may name each other.
const LAYERS: [&[&str]; 7] = [
    &["platform"],
    &["__private", "combinator", "coop", "waiter"],
    &["sync", "channel"],
    &["driver"],
    &["runtime"],
    &["task", "time", "net", "fs", "process", "signal", "shutdown"],
    &["io", "compat", "sim", "local"],
];

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Where each name that the crate's root re-exports comes from: `crate::Io` is a way to name
/// `crate::runtime`.
fn front_door(sources: &[Source]) -> HashMap<String, String> {
    let mut door = HashMap::new();
    for source in sources {
        if !source.scope.module.is_empty() {
            continue;
        }
        for name in names(source) {
            let Some(bound) = name.bound else { continue };
            let module = &name.scope.module;
            let path = resolve(&name.segments, module).unwrap_or(name.segments);
            if let Some(top) = path.first()
                && module.is_empty()
                && layer(top).is_some()
            {
                door.insert(bound, top.clone());
            }
        }
    }
    door
}

/// Modules that name a layer above their own. Unit tests may: they run on whatever they need.
fn climbs(sources: &[Source]) -> Vec<String> {
    let door = front_door(sources);
    let mut breaches = Vec::new();
    for source in sources {
        let Some(own) = source.scope.module.first() else {
            continue;
        };
        let Some(height) = layer(own) else { continue };
        for name in names(source) {
            if name.scope.gates.test {
                continue;
            }
            let Some(path) = resolve(&name.segments, &name.scope.module) else {
                continue;
            };
            let Some(first) = path.first() else { continue };
            let target = match layer(first) {
                Some(_) => first,
                None => door.get(first).unwrap_or(first),
            };
            if layer(target).is_some_and(|other| other > height) {
                breaches.push(format!(
                    "{}: `{own}` names `{}` of the higher layer `{target}`",
                    source.at(name.line),
                    name.segments.join("::"),
                ));
            }
        }
    }
    breaches
}

/// Top-level modules that no layer has.
fn strays(sources: &[Source]) -> Vec<String> {
    let mut modules = BTreeMap::new();
    for source in sources {
        if let Some(top) = source.scope.module.first() {
            if !source.scope.gates.test {
                modules.entry(top.clone()).or_insert_with(|| source.at(1));
            }
            continue;
        }
        for item in &source.file.items {
            if let Item::Mod(module) = item
                && !Gates::of(&module.attrs).test
            {
                let line = module.ident.span().start().line;
                modules.insert(plain(&module.ident), source.at(line));
            }
        }
    }
    modules
        .into_iter()
        .filter(|(module, _)| layer(module).is_none())
        .map(|(module, at)| {
            format!(
                "{at}: module `{module}` has no layer; add it to LAYERS in tests/tidy/layers.rs"
            )
        })
        .collect()
}

#[test]
fn no_module_names_a_higher_layer() {
    assert_none(&climbs(&load()));
}

#[test]
fn every_top_level_module_has_a_layer() {
    assert_none(&strays(&load()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::parse_all;

    fn parse(files: &[(&str, &str)]) -> Vec<Source> {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        parse_all(files.collect()).expect("the samples parse")
    }

    #[test]
    fn planted_climbs_are_reported() {
        for text in [
            "use crate::runtime::Io;",
            "use crate::{platform, time::Sleep};",
            "pub(crate) use super::super::net as network;",
            "fn f(io: &crate::runtime::Io) {}",
            "fn f() { volt::spawn() } use volt::task;",
            "mod inner { use super::super::super::driver; }",
            "macro_rules! m { () => { $crate::runtime::current() } }",
            "use crate::Io;",
        ] {
            let sources = parse(&[
                ("src/lib.rs", "pub use runtime::{Handle as Io}; mod runtime;"),
                ("src/sync/mutex.rs", text),
            ]);
            let breaches = climbs(&sources);
            assert_eq!(breaches.len(), 1, "{text}: {breaches:?}");
            assert!(breaches[0].starts_with("src/sync/mutex.rs:1: "));
        }
    }

    #[test]
    fn names_of_the_same_and_lower_layers_pass() {
        for text in [
            "use crate::{channel, platform::sync::Mutex, waiter::List};",
            "use super::semaphore; use self::inner::X; mod inner {}",
            "#[cfg(test)] mod tests { use crate::runtime::Io; }",
            "//! See [`crate::runtime`].",
            "use crate::Notify; fn f() { runtime::f() }",
        ] {
            assert_none(&climbs(&parse(&[
                ("src/lib.rs", "pub use crate::sync::Notify; mod sync;"),
                ("src/sync/mutex.rs", text),
            ])));
        }
    }

    #[test]
    fn a_module_without_a_layer_is_reported() {
        let sources = parse(&[
            ("src/lib.rs", "mod sync;\nmod stray {}\n#[cfg(test)] mod tests;"),
            ("src/tests.rs", ""),
            ("src/lost/mod.rs", ""),
        ]);
        let strays = strays(&sources);
        assert_eq!(strays.len(), 2, "{strays:?}");
        assert!(strays[0].starts_with("src/lost/mod.rs:1: module `lost`"));
        assert!(strays[1].starts_with("src/lib.rs:2: module `stray`"));
    }
}
