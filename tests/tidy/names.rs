//! The paths that a file names: in `use` declarations, code, types, attributes and the tokens of
//! macros. Comments, doc comments among them, name nothing.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItem, Item, ItemExternCrate, ItemUse, TraitItem};

use crate::source::{Gates, Scope, Source, flatten, plain};

/// One path that a file names.
pub struct Name {
    /// Its parts; the last is `*` for a glob import.
    pub segments: Vec<String>,
    /// For an import, the name that it binds.
    pub bound: Option<String>,
    /// The line it stands on.
    pub line: usize,
    /// Where it stands.
    pub scope: Scope,
}

/// Every path that `source` names. A lone identifier counts only when it is an import.
pub fn names(source: &Source) -> Vec<Name> {
    let mut collector = Collector { scope: source.scope.clone(), found: Vec::new() };
    collector.visit_file(&source.file);
    collector.found
}

struct Collector {
    scope: Scope,
    found: Vec<Name>,
}

impl Collector {
    fn push(&mut self, segments: Vec<String>, bound: Option<String>, line: usize) {
        if segments.len() > 1 || bound.is_some() {
            self.found.push(Name { segments, bound, line, scope: self.scope.clone() });
        }
    }

    /// Runs `walk` with the cfgs of `attributes` added.
    fn under(&mut self, attributes: &[Attribute], walk: impl FnOnce(&mut Self)) {
        let outer = self.scope.gates;
        self.scope.gates = outer.and(Gates::of(attributes));
        walk(self);
        self.scope.gates = outer;
    }

    /// Collects the paths in the tokens of a macro, which have no syntax tree. `prefix` is the path
    /// in front of a braced group of imports.
    fn scan(&mut self, stream: TokenStream, prefix: &[String], mut importing: bool) {
        let trees: Vec<TokenTree> = stream.into_iter().collect();
        let mut at = 0;
        'trees: while let Some(tree) = trees.get(at) {
            at += 1;
            let first = match tree {
                TokenTree::Group(group) => {
                    self.scan(group.stream(), &[], false);
                    continue;
                }
                TokenTree::Punct(punct) => {
                    importing &= punct.as_char() != ';';
                    continue;
                }
                TokenTree::Literal(_) => continue,
                TokenTree::Ident(ident) if ident == "use" => {
                    importing = true;
                    continue;
                }
                TokenTree::Ident(ident) => ident,
            };
            let line = first.span().start().line;
            let mut segments = prefix.to_vec();
            segments.push(plain(first));
            while is_path_separator(&trees, at) {
                match trees.get(at + 2) {
                    Some(TokenTree::Ident(next)) => segments.push(plain(next)),
                    Some(TokenTree::Punct(star)) if star.as_char() == '*' => {
                        segments.push("*".to_owned());
                    }
                    Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                        self.scan(group.stream(), &segments, importing);
                        at += 3;
                        continue 'trees;
                    }
                    // The generic arguments of `f::<T>()`.
                    _ => break,
                }
                at += 3;
            }
            if segments.len() > 1 && segments.last().is_some_and(|last| last == "self") {
                segments.pop();
            }
            let mut bound = segments.last().filter(|_| importing).cloned();
            if importing
                && let Some(TokenTree::Ident(keyword)) = trees.get(at)
                && let Some(TokenTree::Ident(alias)) = trees.get(at + 1)
                && keyword == "as"
            {
                bound = Some(plain(alias));
                at += 2;
            }
            self.push(segments, bound, line);
        }
    }
}

/// Whether a `::` stands at `at`.
fn is_path_separator(trees: &[TokenTree], at: usize) -> bool {
    let is_colon = |at: usize| match trees.get(at) {
        Some(TokenTree::Punct(punct)) => punct.as_char() == ':',
        _ => false,
    };
    is_colon(at) && is_colon(at + 1)
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_item(&mut self, item: &'ast Item) {
        let outer = self.scope.clone();
        self.scope.enter(item);
        visit::visit_item(self, item);
        self.scope = outer;
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let attributes: &[Attribute] = match item {
            ImplItem::Const(item) => &item.attrs,
            ImplItem::Fn(item) => &item.attrs,
            ImplItem::Type(item) => &item.attrs,
            ImplItem::Macro(item) => &item.attrs,
            _ => &[],
        };
        self.under(attributes, |collector| {
            visit::visit_impl_item(collector, item);
        });
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        let attributes: &[Attribute] = match item {
            TraitItem::Const(item) => &item.attrs,
            TraitItem::Fn(item) => &item.attrs,
            TraitItem::Type(item) => &item.attrs,
            TraitItem::Macro(item) => &item.attrs,
            _ => &[],
        };
        self.under(attributes, |collector| {
            visit::visit_trait_item(collector, item);
        });
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        self.under(&field.attrs, |collector| {
            visit::visit_field(collector, field);
        });
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        flatten(&item.tree, &[], &mut |path, bound, line| {
            self.push(path, Some(bound), line);
        });
        visit::visit_item_use(self, item);
    }

    fn visit_item_extern_crate(&mut self, item: &'ast ItemExternCrate) {
        let name = plain(&item.ident);
        let bound = match &item.rename {
            Some((_, alias)) => plain(alias),
            None => name.clone(),
        };
        let line = item.ident.span().start().line;
        self.push(vec![name], Some(bound), line);
        visit::visit_item_extern_crate(self, item);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if let Some(first) = path.segments.first() {
            let segments = path.segments.iter().map(|part| plain(&part.ident));
            let line = first.ident.span().start().line;
            self.push(segments.collect(), None, line);
        }
        visit::visit_path(self, path);
    }

    fn visit_token_stream(&mut self, tokens: &'ast TokenStream) {
        self.scan(tokens.clone(), &[], false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::parse_all;

    /// The paths named in `text`, each followed by ` as name` where an import renames it.
    fn named(text: &str) -> Vec<String> {
        let files = vec![("src/a.rs".to_owned(), text.to_owned())];
        let sources = parse_all(files).expect("the sample parses");
        names(&sources[0])
            .into_iter()
            .map(|name| {
                let path = name.segments.join("::");
                match name.bound {
                    Some(bound) if Some(&bound) != name.segments.last() => {
                        format!("{path} as {bound}")
                    }
                    _ => path,
                }
            })
            .collect()
    }

    #[test]
    fn imports_are_flattened() {
        let text = "use ::a::{b::{self, C as D}, e::*, f}; extern crate g as h;";
        assert_eq!(named(text), ["a::b", "a::b::C as D", "a::e::*", "a::f", "g as h"]);
    }

    #[test]
    fn paths_in_code_and_types_are_found() {
        let text = "fn f(x: &[::a::B<c::D>]) { <e::F as G>::h(); let i = i; j::k!(); }";
        let found = named(text);
        for path in ["a::B", "c::D", "e::F", "G::h", "j::k"] {
            assert!(found.iter().any(|name| name == path), "{path}: {found:?}");
        }
        assert!(!found.iter().any(|name| name == "i"), "{found:?}");
    }

    #[test]
    fn the_tokens_of_macros_are_searched() {
        let text = "macro_rules! m { ($x:ident) => { use a::{b::{self, C}, d as e}; use f;
            { ::g::h::<i::J>($x, \"k::l\"); } $crate::n::o() } }";
        assert_eq!(
            named(text),
            ["a::b", "a::b::C", "a::d as e", "f", "g::h", "i::J", "crate::n::o"]
        );
    }

    #[test]
    fn comments_name_nothing() {
        assert_eq!(named("//! `a::b`\n/// [`c::d`]\nfn f() {} // e::f"), [""; 0]);
    }
}
