//! What an agent wants to do, read off its question. What cannot be told is left out as a whole: a part of it might be allowed.

use serde_json::Value;

use super::Want;

/// A call of a tool by its name, as Claude Code and those that speak as it does name them.
pub(super) fn of_tool(name: &str, input: &Value) -> Vec<Want> {
    match name {
        "Bash" | "run_shell_command" => shell(&input["command"]),
        "Read" | "NotebookRead" | "read_file" => read(path_in(input)),
        "Write" | "Edit" | "MultiEdit" | "NotebookEdit" | "write_file" | "edit" => write([path_in(input)]),
        "WebFetch" | "web_fetch" => fetch(&input["url"]),
        "" => Vec::new(),
        name => vec![Want::Tool { name: name.to_owned() }],
    }
}

/// A permission that OpenCode asks for.
pub(super) fn of_permission(permission: &str, metadata: &Value) -> Vec<Want> {
    match permission {
        "bash" => shell(&metadata["command"]),
        "edit" | "write" => write([path_in(metadata)]),
        "read" => read(path_in(metadata)),
        "webfetch" => fetch(&metadata["url"]),
        // What is then done there is not told.
        "external_directory" | "" => Vec::new(),
        name => vec![Want::Tool { name: name.to_owned() }],
    }
}

/// A tool's call as the Agent Client Protocol tells it.
pub(super) fn of_call(call: &Value) -> Vec<Want> {
    let raw = &call["rawInput"];
    let locations = call["locations"].as_array().map(Vec::as_slice).unwrap_or_default();
    let contents = call["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    let paths = locations.iter().chain(contents).filter_map(|place| place["path"].as_str());
    match call["kind"].as_str().unwrap_or_default() {
        "execute" => shell(&raw["command"]),
        "edit" | "delete" | "move" => write(paths.map(Some).chain(path_in(raw).map(Some))),
        "read" => read(paths.chain(path_in(raw)).next()),
        "fetch" => fetch(&raw["url"]),
        _ => Vec::new(),
    }
}

/// A command that Codex asks to run, as a line or as words.
pub(super) fn of_command(command: &Value) -> Vec<Want> {
    shell(command)
}

/// Files that Codex asks to change. With a directory that is to be written in from now on, it is not told which.
pub(super) fn of_changes(changes: &Value, grant_root: &Value) -> Vec<Want> {
    let changes = changes.as_array().map(Vec::as_slice).unwrap_or_default();
    if !grant_root.is_null() {
        return Vec::new();
    }
    let moved = changes.iter().filter_map(|change| change["kind"]["move_path"].as_str());
    write(changes.iter().map(|change| change["path"].as_str()).chain(moved.map(Some)))
}

fn shell(command: &Value) -> Vec<Want> {
    match command {
        Value::String(command) => vec![Want::Shell { command: command.clone() }],
        Value::Array(words) => {
            let argv: Option<Vec<String>> = words.iter().map(|word| word.as_str().map(str::to_owned)).collect();
            argv.map(|argv| Want::Run { argv }).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn path_in(input: &Value) -> Option<&str> {
    ["file_path", "filepath", "filePath", "notebook_path", "absolute_path", "path"]
        .into_iter()
        .find_map(|name| input[name].as_str())
}

fn read(path: Option<&str>) -> Vec<Want> {
    path.map(|path| Want::Read { path: path.to_owned(), real: None }).into_iter().collect()
}

/// Files that are written: all of them are told, or none.
fn write<'a>(paths: impl IntoIterator<Item = Option<&'a str>>) -> Vec<Want> {
    let all: Option<Vec<Want>> =
        paths.into_iter().map(|path| path.map(|path| Want::Write { path: path.to_owned(), real: None })).collect();
    all.unwrap_or_default()
}

fn fetch(url: &Value) -> Vec<Want> {
    url.as_str().map(|url| Want::Fetch { url: url.to_owned() }).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(path: &str) -> Want {
        Want::Write { path: path.to_owned(), real: None }
    }

    fn command(text: &str) -> Vec<Want> {
        vec![Want::Shell { command: text.to_owned() }]
    }

    #[test]
    fn each_dialect_names_commands_files_and_addresses_in_its_own_way() {
        assert_eq!(of_tool("Bash", &json!({"command": "ls"})), command("ls"));
        assert_eq!(of_tool("Edit", &json!({"file_path": "/a"})), [written("/a")]);
        assert_eq!(of_tool("WebFetch", &json!({"url": "https://a"})), [Want::Fetch { url: "https://a".into() }]);
        assert_eq!(of_tool("mcp__a__b", &json!({})), [Want::Tool { name: "mcp__a__b".into() }]);
        assert_eq!(of_permission("bash", &json!({"command": "ls"})), command("ls"));
        assert_eq!(of_permission("edit", &json!({"filepath": "a"})), [written("a")]);
        assert_eq!(of_command(&json!("/bin/bash -lc 'ls'")), command("/bin/bash -lc 'ls'"));
        assert_eq!(of_command(&json!(["ls", "-l"])), [Want::Run { argv: vec!["ls".into(), "-l".into()] }]);
        assert_eq!(of_call(&json!({"kind": "execute", "rawInput": {"command": "ls"}})), command("ls"));
        let edit = json!({"kind": "edit", "locations": [{"path": "/a"}], "content": [{"type": "diff", "path": "/b"}]});
        assert_eq!(of_call(&edit), [written("/a"), written("/b")]);
        let changes = json!([{"path": "/a", "kind": {"type": "update", "move_path": "/b"}}]);
        assert_eq!(of_changes(&changes, &Value::Null), [written("/a"), written("/b")]);
    }

    #[test]
    fn what_is_not_told_or_not_all_of_it_is_nothing() {
        assert_eq!(of_tool("Bash", &json!({"command": 7})), []);
        assert_eq!(of_tool("Edit", &json!({})), []);
        assert_eq!(of_permission("external_directory", &json!({"path": "/a"})), []);
        assert_eq!(of_call(&json!({"kind": "execute", "title": "ls"})), []);
        assert_eq!(of_call(&json!({"kind": "think"})), []);
        assert_eq!(of_command(&json!(["ls", 7])), []);
        assert_eq!(of_changes(&json!([{"path": "/a"}, {}]), &Value::Null), []);
        assert_eq!(of_changes(&json!([{"path": "/a"}]), &json!("/a")), []);
    }
}
