//! The list of atomic state machines, `tests/state_machines.toml`, against the code: shared state
//! outside the platform belongs to a machine, and each machine has loom models that exist.

use std::collections::HashSet;
use std::path::PathBuf;
use std::{env, fs};

use syn::visit::{self, Visit};
use syn::{Fields, Item, ItemEnum, ItemFn, ItemStatic, ItemStruct, ItemUnion, Macro, Type};

use crate::list::{Machine, parse_list};
use crate::meanings::{Meanings, is_apart, meanings};
use crate::source::{Gates, Scope, Source, assert_none, load, plain, root};

#[path = "machines/list.rs"]
mod list;
#[path = "machines/meanings.rs"]
mod meanings;
#[path = "tidy/source.rs"]
mod source;

/// The list, from the repository's root. The variable names another one, so that the check can be
/// seen to fail.
const LIST: &str = "tests/state_machines.toml";
const LIST_VARIABLE: &str = "VOLT_STATE_MACHINES";

/// One field or static of the code.
struct Field {
    file: String,
    at: String,
    name: String,
    /// The type of shared state that it holds, where it must belong to a machine for that.
    shared: Option<String>,
}

/// One loom model of the code.
struct Model {
    at: String,
    /// As the list names it, `file::function`.
    name: String,
    /// Whether a machine must list it.
    is_required: bool,
}

/// What the code has of what the list may name.
#[derive(Default)]
struct Code {
    /// File and name of each type.
    types: HashSet<(String, String)>,
    fields: Vec<Field>,
    models: Vec<Model>,
    /// Macros that define shared state where no field can be told.
    opaque: Vec<String>,
}

struct Survey<'a> {
    source: &'a Source,
    meanings: &'a Meanings,
    scope: Scope,
    code: &'a mut Code,
}

impl Survey<'_> {
    fn field(&mut self, name: String, line: usize, kind: &Type) {
        let shared = self.meanings.shared_in(kind, &self.scope.module);
        self.code.fields.push(Field {
            file: self.source.path.clone(),
            at: self.source.at(line),
            name,
            shared: shared.filter(|_| !self.source.is_platform()),
        });
    }

    fn fields(&mut self, owner: &str, line: usize, fields: &Fields) {
        for (index, field) in fields.iter().enumerate() {
            if is_apart(Gates::of(&field.attrs)) {
                continue;
            }
            let (name, line) = match &field.ident {
                Some(ident) => (plain(ident), ident.span().start().line),
                None => (index.to_string(), line),
            };
            self.field(format!("{owner}.{name}"), line, &field.ty);
        }
    }

    fn kind(&mut self, name: &str) {
        let file = self.source.path.clone();
        self.code.types.insert((file, name.to_owned()));
    }
}

impl<'ast> Visit<'ast> for Survey<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let outer = self.scope.clone();
        self.scope.enter(item);
        visit::visit_item(self, item);
        self.scope = outer;
    }

    fn visit_item_struct(&mut self, item: &'ast ItemStruct) {
        if !is_apart(self.scope.gates) {
            let name = plain(&item.ident);
            self.kind(&name);
            self.fields(&name, item.ident.span().start().line, &item.fields);
        }
    }

    fn visit_item_enum(&mut self, item: &'ast ItemEnum) {
        if is_apart(self.scope.gates) {
            return;
        }
        let name = plain(&item.ident);
        self.kind(&name);
        for variant in &item.variants {
            let owner = format!("{name}.{}", plain(&variant.ident));
            let line = variant.ident.span().start().line;
            self.fields(&owner, line, &variant.fields);
        }
    }

    fn visit_item_union(&mut self, item: &'ast ItemUnion) {
        if is_apart(self.scope.gates) {
            return;
        }
        let owner = plain(&item.ident);
        self.kind(&owner);
        for field in &item.fields.named {
            if let Some(ident) = &field.ident {
                let name = format!("{owner}.{}", plain(ident));
                self.field(name, ident.span().start().line, &field.ty);
            }
        }
    }

    fn visit_item_static(&mut self, item: &'ast ItemStatic) {
        if !is_apart(self.scope.gates) {
            let line = item.ident.span().start().line;
            self.field(plain(&item.ident), line, &item.ty);
        }
        visit::visit_item_static(self, item);
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        let is_test = item.attrs.iter().any(|attr| attr.path().is_ident("test"));
        if is_test && self.scope.gates.loom {
            self.code.models.push(Model {
                at: self.source.at(item.sig.ident.span().start().line),
                name: format!("{}::{}", self.source.path, plain(&item.sig.ident)),
                is_required: !self.source.is_platform(),
            });
        }
        visit::visit_item_fn(self, item);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        if is_apart(self.scope.gates) || self.source.is_platform() {
            return;
        }
        // `thread_local!` and macros that add to a definition hold ordinary items.
        if let Ok(file) = syn::parse2::<syn::File>(call.tokens.clone()) {
            for item in &file.items {
                self.visit_item(item);
            }
            return;
        }
        let module = &self.scope.module;
        if let Some(kind) = self.meanings.shared_in_tokens(&call.tokens, module)
            && let Some(part) = call.path.segments.first()
        {
            self.code.opaque.push(format!(
                "{}: this macro hides a field of type `{kind}` from the list of machines",
                self.source.at(part.ident.span().start().line)
            ));
        }
    }
}

fn survey(sources: &[Source], list: &[Machine]) -> Code {
    let meanings = meanings(sources, list);
    let mut code = Code::default();
    for source in sources {
        let mut survey =
            Survey { source, meanings: &meanings, scope: source.scope.clone(), code: &mut code };
        survey.visit_file(&source.file);
    }
    code
}

/// Where the list and the code disagree.
fn disagreements(list: &[Machine], sources: &[Source]) -> Vec<String> {
    let mut code = survey(sources, list);
    let mut found = std::mem::take(&mut code.opaque);
    for field in &code.fields {
        let is_owned = list
            .iter()
            .any(|machine| machine.file == field.file && machine.fields.contains(&field.name));
        if let Some(kind) = &field.shared
            && !is_owned
        {
            found.push(format!(
                "{}: `{}` holds shared state (`{kind}`) but belongs to no machine in {LIST}",
                field.at, field.name
            ));
        }
    }
    for model in &code.models {
        let is_listed = list.iter().any(|machine| machine.models.contains(&model.name));
        if model.is_required && !is_listed {
            found.push(format!(
                "{}: model `{}` belongs to no machine in {LIST}",
                model.at, model.name
            ));
        }
    }
    for machine in list {
        let Machine { at, kind, file, .. } = machine;
        if !code.types.contains(&(file.clone(), kind.clone())) {
            found.push(format!("{at}: {file} has no type `{kind}`"));
        }
        for name in &machine.fields {
            let mut fields = code.fields.iter();
            if !fields.any(|field| field.file == *file && field.name == *name) {
                found.push(format!("{at}: {file} has no field or static `{name}`"));
            }
        }
        if machine.models.is_empty() {
            found.push(format!("{at}: `{kind}` has no loom model"));
        }
        for name in &machine.models {
            if !code.models.iter().any(|model| model.name == *name) {
                found.push(format!(
                    "{at}: no model `{name}`: a `#[test]` in a module under `cfg(volt_loom)`"
                ));
            }
        }
    }
    found
}

#[test]
fn the_list_agrees_with_the_code() {
    let path = match env::var_os(LIST_VARIABLE) {
        Some(path) => PathBuf::from(path),
        None => root().join(LIST),
    };
    let name = match path.strip_prefix(root()) {
        Ok(name) => name.display().to_string(),
        Err(_) => path.display().to_string(),
    };
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    let list = parse_list(&name, &text).unwrap_or_else(|error| panic!("{error}"));
    assert_none(&disagreements(&list, &load()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::parse_all;

    const LISTED: &str = r#"
[[machine]]
type = "Gate"
file = "src/sync/gate.rs"
fields = ["Gate.state"]
models = ["src/sync/gate.rs::opens_once"]
why = "An example."
"#;

    const GATE: &str = "use crate::platform::sync::AtomicU32;
pub struct Gate { state: AtomicU32 }
#[cfg(all(test, volt_loom))]
mod models {
    #[test]
    fn opens_once() {}
}
";

    /// What the check finds with a list and files, each a path and a text.
    fn check(list: &str, files: &[(&str, &str)]) -> Vec<String> {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        let sources = parse_all(files.collect()).expect("the samples parse");
        let list = parse_list("list.toml", list).expect("the sample list parses");
        disagreements(&list, &sources)
    }

    #[track_caller]
    fn assert_reported(found: &[String], start: &str) {
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(start), "{found:?}");
    }

    #[test]
    fn a_list_that_agrees_passes() {
        assert_none(&check(LISTED, &[("src/sync/gate.rs", GATE)]));
    }

    #[test]
    fn an_unlisted_atomic_is_reported() {
        let found = check("", &[("src/sync/gate.rs", "struct Gate { state: AtomicU32 }")]);
        assert_reported(&found, "src/sync/gate.rs:1: `Gate.state` holds shared state");
    }

    #[test]
    fn unlisted_shared_state_is_reported_in_every_form() {
        for (text, name) in [
            ("struct A { b: Vec<Box<[crate::platform::sync::AtomicUsize]>> }", "A.b"),
            ("struct A(u8, Futex);", "A.1"),
            ("enum A { B { c: UnsafeCell<u8> } }", "A.B.c"),
            ("union A { b: ManuallyDrop<UnsafeCell<u8>> }", "A.b"),
            ("static A: AtomicBool = AtomicBool::new(false);", "A"),
            ("fn f() { static A: AtomicBool = AtomicBool::new(false); }", "A"),
            ("use crate::platform::sync::AtomicU64 as Word; struct A { b: Word }", "A.b"),
            ("type Word = AtomicU64; type Words = [Word; 2]; struct A { b: Words }", "A.b"),
            ("use crate::platform::sync::{Mutex, Arc}; struct A { b: Arc<Mutex<u8>> }", "A.b"),
            ("use crate::platform::sync::RwLock as Lock; struct A { b: Lock<u8> }", "A.b"),
            ("use super::super::platform::sync; struct A { b: sync::Condvar }", "A.b"),
            ("use crate::platform::sync::*; struct A { b: Mutex<u8> }", "A.b"),
            ("struct A { b: crate::platform::sync::Mutex<u8> }", "A.b"),
            ("mod c { struct A { b: AtomicU8 } }", "A.b"),
            ("thread_local! { static A: UnsafeCell<u8> = UnsafeCell::new(0); }", "A"),
            ("define! { pub struct A { b: AtomicU8 } }", "A.b"),
        ] {
            let found = check("", &[("src/sync/gate.rs", text)]);
            assert_reported(&found, &format!("src/sync/gate.rs:1: `{name}` holds"));
        }
    }

    #[test]
    fn an_atomic_that_a_macro_hides_is_reported() {
        let text = "macro_rules! define { ($n:ident) => { struct $n { a: AtomicU8 } } }";
        let found = check("", &[("src/sync/gate.rs", text)]);
        assert_reported(&found, "src/sync/gate.rs:1: this macro hides a field of type `AtomicU8`");
    }

    #[test]
    fn what_is_no_machine_passes() {
        for text in [
            "use crate::platform::Counter; struct A { polls: Counter }",
            "pub struct Mutex<T> { b: T } struct Guard<'a, T> { lock: &'a Mutex<T> }",
            "use crate::sync::Mutex; struct A { b: Mutex<u8> }",
            "struct A { b: PhantomData<UnsafeCell<u8>> }",
            "#[cfg(test)] mod tests { use crate::platform::sync::Mutex; struct A(AtomicU8); }",
            "#[cfg(test)] mod tests { use crate::platform::sync::Mutex; } struct A(Mutex<u8>);",
            "#[cfg(volt_loom)] mod models { struct A(AtomicU8); fn helper() {} }",
            "struct A { #[cfg(test)] b: AtomicU8 }",
            "fn f(a: &AtomicU8) { let b: &UnsafeCell<u8>; assert!(a.load() == 0); }",
        ] {
            assert_none(&check("", &[("src/sync/gate.rs", text)]));
        }
        let text = "struct A(AtomicU8); static B: Mutex<u8> = Mutex::new(0);";
        assert_none(&check("", &[("src/platform/real/mod.rs", text)]));
    }

    #[test]
    fn a_listed_type_named_like_an_atomic_is_a_machine() {
        let list = LISTED.replace("Gate", "AtomicGate");
        let gate = GATE.replace("Gate", "AtomicGate");
        let user = ("src/sync/user.rs", "struct A { gate: AtomicGate }");
        assert_none(&check(&list, &[("src/sync/gate.rs", gate.as_str()), user]));
    }

    #[test]
    fn a_field_belongs_to_a_machine_of_its_own_file() {
        let other = ("src/sync/other.rs", "struct Gate { state: AtomicU32 }");
        let found = check(LISTED, &[("src/sync/gate.rs", GATE), other]);
        assert_reported(&found, "src/sync/other.rs:1: `Gate.state` holds");
    }

    #[test]
    fn a_missing_type_is_reported() {
        let list = LISTED.replace("type = \"Gate\"", "type = \"Door\"");
        let found = check(&list, &[("src/sync/gate.rs", GATE)]);
        assert_reported(&found, "list.toml:2: src/sync/gate.rs has no type `Door`");
    }

    #[test]
    fn a_missing_field_is_reported() {
        let list = LISTED.replace("[\"Gate.state\"]", "[\"Gate.state\", \"Gate.gone\"]");
        let found = check(&list, &[("src/sync/gate.rs", GATE)]);
        assert_reported(&found, "list.toml:2: src/sync/gate.rs has no field or static `Gate.gone`");
    }

    #[test]
    fn a_machine_without_a_model_is_reported() {
        let list = LISTED.replace("[\"src/sync/gate.rs::opens_once\"]", "[]");
        let gate = GATE.replace("#[test]", "");
        let found = check(&list, &[("src/sync/gate.rs", gate.as_str())]);
        assert_reported(&found, "list.toml:2: `Gate` has no loom model");
    }

    #[test]
    fn a_model_that_does_not_run_under_loom_is_reported() {
        for gate in [
            GATE.replace("opens_once", "closes_once"),
            GATE.replace("#[test]", ""),
            GATE.replace("volt_loom", "unix"),
        ] {
            let found = check(LISTED, &[("src/sync/gate.rs", gate.as_str())]);
            let start = "list.toml:2: no model `src/sync/gate.rs::opens_once`";
            assert!(found.iter().any(|line| line.starts_with(start)), "{found:?}");
        }
    }

    #[test]
    fn a_model_in_a_file_of_its_own_is_found() {
        let files = [
            ("src/sync/gate/mod.rs", "struct Gate { state: AtomicU32 } #[cfg(volt_loom)] mod m;"),
            ("src/sync/gate/m.rs", "#[test] fn opens_once() {}"),
        ];
        let list = LISTED.replace("gate.rs::", "gate/m.rs::").replace("gate.rs\"", "gate/mod.rs\"");
        assert_none(&check(&list, &files));
    }

    #[test]
    fn an_unlisted_model_is_reported() {
        let gate = GATE.replace("fn opens_once", "fn shuts() {} #[test] fn opens_once");
        let found = check(LISTED, &[("src/sync/gate.rs", gate.as_str())]);
        assert_reported(&found, "src/sync/gate.rs:6: model `src/sync/gate.rs::shuts`");
    }
}
