//! The list of machines as it is written.

use toml::{Table, Value};

/// One machine of the list.
pub struct Machine {
    /// Its place in the list, as `file:line`.
    pub at: String,
    /// Its type.
    pub kind: String,
    /// The file that defines it.
    pub file: String,
    /// The fields and statics that it owns, as `Type.field`.
    pub fields: Vec<String>,
    /// Its loom models, as `file::function`.
    pub models: Vec<String>,
}

fn string(table: &Table, key: &str) -> Result<String, String> {
    match table.get(key) {
        Some(Value::String(text)) => Ok(text.clone()),
        _ => Err(format!("`{key}` is not a string")),
    }
}

fn strings(table: &Table, key: &str) -> Result<Vec<String>, String> {
    let error = || format!("`{key}` is not an array of strings");
    let Some(Value::Array(values)) = table.get(key) else {
        return Err(error());
    };
    values.iter().map(|value| value.as_str().map(str::to_owned).ok_or_else(error)).collect()
}

fn parse_machine(value: &Value, at: &str) -> Result<Machine, String> {
    let table = value.as_table().ok_or("a machine is a table")?;
    const KEYS: [&str; 5] = ["type", "file", "fields", "models", "why"];
    if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(format!("a machine has no `{key}`"));
    }
    if table.contains_key("why") {
        string(table, "why")?;
    }
    Ok(Machine {
        at: at.to_owned(),
        kind: string(table, "type")?,
        file: string(table, "file")?,
        fields: strings(table, "fields")?,
        models: strings(table, "models")?,
    })
}

/// The machines of a list, whose name is `path` in reports.
///
/// # Errors
///
/// The place of what is no list of machines, and what is wrong with it.
pub fn parse_list(path: &str, text: &str) -> Result<Vec<Machine>, String> {
    let table = text.parse::<Table>().map_err(|error| format!("{path}:1: {error}"))?;
    if let Some(key) = table.keys().find(|key| key.as_str() != "machine") {
        return Err(format!("{path}:1: the list has no `{key}`"));
    }
    let values = match table.get("machine") {
        None => return Ok(Vec::new()),
        Some(Value::Array(values)) => values,
        Some(_) => return Err(format!("{path}:1: a machine starts with `[[machine]]`")),
    };
    let mut lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.trim_start().starts_with("[[machine]]"))
        .map(|(index, _)| index + 1);
    values
        .iter()
        .map(|value| {
            let at = format!("{path}:{}", lines.next().unwrap_or(1));
            parse_machine(value, &at).map_err(|error| format!("{at}: {error}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"
[[machine]]
type = "Gate"
file = "src/sync/gate.rs"
fields = ["Gate.state"]
models = []
why = "An example."
"#;

    #[test]
    fn machines_are_read_with_their_places() {
        let text = format!("# Header.\n{LIST}\n{}", LIST.replace("Gate", "Door"));
        let list = parse_list("list.toml", &text).expect("the list is well-formed");
        let read: Vec<_> =
            list.iter().map(|machine| (machine.at.as_str(), machine.kind.as_str())).collect();
        assert_eq!(read, [("list.toml:3", "Gate"), ("list.toml:11", "Door")]);
        assert_eq!(list[1].fields, ["Door.state"]);
    }

    #[test]
    fn a_malformed_list_is_reported() {
        for (list, start) in [
            ("machine = 1", "list.toml:1: "),
            ("[machines]", "list.toml:1: "),
            ("[[machine", "list.toml:1: "),
            ("\n[[machine]]\ntype = \"A\"", "list.toml:2: `file` "),
            (LIST.replace("why", "reason").as_str(), "list.toml:2: a machine has no `reason`"),
            (LIST.replace("[\"Gate.state\"]", "[1]").as_str(), "list.toml:2: `fields` "),
            (LIST.replace("\"An example.\"", "1").as_str(), "list.toml:2: `why` "),
        ] {
            let error = parse_list("list.toml", list).err().expect("the list is malformed");
            assert!(error.starts_with(start), "{error}");
        }
    }
}
