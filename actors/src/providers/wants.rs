//! What an agent wants to do, read off its question. What cannot be told is left out as a whole: a part of it might be allowed.

use serde_json::Value;

use super::Want;

/// A call of a tool by its name, as Claude Code and those that speak as it does name them.
pub(super) fn of_tool(name: &str, input: &Value) -> Vec<Want> {
    let wants = match name {
        // Out of its sandbox a command does more than its words tell.
        "Bash" | "run_shell_command" if input["dangerouslyDisableSandbox"] == true => Vec::new(),
        "Bash" | "run_shell_command" => shell(&input["command"], &input["directory"]),
        "Read" | "NotebookRead" | "read_file" => read([path_in(input)]),
        "Write" | "Edit" | "MultiEdit" | "NotebookEdit" | "write_file" | "edit" => write([path_in(input)]),
        "WebFetch" | "web_fetch" => fetch(&input["url"]),
        "" => Vec::new(),
        name => return vec![Want::Tool { name: name.to_owned() }],
    };
    called(name, wants)
}

/// A permission that OpenCode asks for. Its paths are within its own idea of a root, unless they are absolute.
pub(super) fn of_permission(permission: &str, metadata: &Value, patterns: &Value) -> Vec<Want> {
    let absolute = |path: &Value| path.as_str().filter(|path| path.starts_with('/')).map(str::to_owned);
    let wants = match permission {
        "bash" => shell(&metadata["command"], &metadata["workdir"]),
        "edit" | "write" => match metadata["files"].as_array() {
            Some(files) => {
                let moved = files.iter().map(|file| &file["movePath"]).filter(|path| !path.is_null());
                let paths: Vec<_> = files.iter().map(|file| &file["filePath"]).chain(moved).map(absolute).collect();
                write(paths.iter().map(Option::as_deref))
            }
            None if patterns.as_array().is_some_and(|patterns| patterns.len() == 1) => {
                write([path_in(metadata).filter(|path| path.starts_with('/'))])
            }
            None => Vec::new(),
        },
        "read" => read([path_in(metadata).filter(|path| path.starts_with('/'))]),
        "webfetch" => fetch(&metadata["url"]),
        // What is then done there is not told.
        "external_directory" | "" => Vec::new(),
        name => return vec![Want::Tool { name: name.to_owned() }],
    };
    called(permission, wants)
}

/// A tool's call as the Agent Client Protocol tells it: all of its paths, or nothing.
pub(super) fn of_call(call: &Value) -> Vec<Want> {
    let raw = &call["rawInput"];
    let locations = call["locations"].as_array().map(Vec::as_slice).unwrap_or_default().iter();
    let contents = call["content"].as_array().map(Vec::as_slice).unwrap_or_default().iter();
    let changes = contents.filter(|content| content["type"] == "diff");
    let paths = locations.chain(changes).map(|place| place["path"].as_str()).chain(path_in(raw).map(Some));
    let runs = |raw: &Value| !raw["command"].is_null() || !raw["args"].is_null();
    match call["kind"].as_str().unwrap_or_default() {
        "execute" if raw["args"].is_null() => {
            let directory = ["cwd", "workdir", "directory"].into_iter().map(|name| &raw[name]).find(|at| !at.is_null());
            shell(&raw["command"], directory.unwrap_or(&Value::Null))
        }
        "edit" | "delete" if !runs(raw) => write(paths),
        "read" if !runs(raw) => read(paths),
        "fetch" => fetch(&raw["url"]),
        // Where something is moved to has no name of its own.
        _ => Vec::new(),
    }
}

/// A command that Codex asks to run, as a line or as words. What is typed into one that runs already, and what is asked for
/// besides, is not told by it.
pub(super) fn of_command(params: &Value) -> Vec<Want> {
    let more = ["additionalPermissions", "networkApprovalContext"].into_iter().any(|name| !params[name].is_null());
    let runs = params["kind"].is_null() || params["kind"] == "command";
    if more || !runs { Vec::new() } else { shell(&params["command"], &params["cwd"]) }
}

/// Files that Codex asks to change. With a directory that is to be written in from now on, it is not told which.
pub(super) fn of_changes(changes: &Value, grant_root: &Value) -> Vec<Want> {
    let changes = changes.as_array().map(Vec::as_slice).unwrap_or_default();
    if !grant_root.is_null() {
        return Vec::new();
    }
    let moved = changes.iter().map(|change| &change["kind"]["move_path"]).filter(|path| !path.is_null());
    write(changes.iter().map(|change| &change["path"]).chain(moved).map(Value::as_str))
}

fn called(name: &str, mut wants: Vec<Want>) -> Vec<Want> {
    wants.push(Want::Called { name: name.to_owned() });
    wants
}

fn shell(command: &Value, directory: &Value) -> Vec<Want> {
    let mut wants: Vec<Want> = match command {
        Value::String(command) => vec![Want::Shell { command: command.clone() }],
        Value::Array(words) => {
            let argv: Option<Vec<String>> = words.iter().map(|word| word.as_str().map(str::to_owned)).collect();
            argv.map(|argv| Want::Run { argv }).into_iter().collect()
        }
        _ => return Vec::new(),
    };
    match directory {
        Value::Null => {}
        Value::String(directory) => wants.push(Want::At { directory: directory.clone() }),
        _ => wants.clear(),
    }
    wants
}

fn path_in(input: &Value) -> Option<&str> {
    ["file_path", "filepath", "filePath", "notebook_path", "absolute_path", "path"]
        .into_iter()
        .find_map(|name| input[name].as_str())
}

fn read<'a>(paths: impl IntoIterator<Item = Option<&'a str>>) -> Vec<Want> {
    all(paths, |path| Want::Read { path: path.to_owned(), real: None })
}

fn write<'a>(paths: impl IntoIterator<Item = Option<&'a str>>) -> Vec<Want> {
    all(paths, |path| Want::Write { path: path.to_owned(), real: None })
}

/// All of them are told, or none.
fn all<'a>(paths: impl IntoIterator<Item = Option<&'a str>>, want: impl Fn(&str) -> Want) -> Vec<Want> {
    let all: Option<Vec<Want>> = paths.into_iter().map(|path| path.map(&want)).collect();
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

    fn with_name(name: &str, mut wants: Vec<Want>) -> Vec<Want> {
        wants.push(Want::Called { name: name.to_owned() });
        wants
    }

    fn at(directory: &str, mut wants: Vec<Want>) -> Vec<Want> {
        wants.push(Want::At { directory: directory.to_owned() });
        wants
    }

    fn read_of(path: &str) -> Want {
        Want::Read { path: path.to_owned(), real: None }
    }

    #[test]
    fn each_dialect_names_commands_files_and_addresses_in_its_own_way() {
        assert_eq!(of_tool("Bash", &json!({"command": "ls"})), with_name("Bash", command("ls")));
        assert_eq!(of_tool("Edit", &json!({"file_path": "/a"})), with_name("Edit", vec![written("/a")]));
        let fetched = vec![Want::Fetch { url: "https://a".into() }];
        assert_eq!(of_tool("WebFetch", &json!({"url": "https://a"})), with_name("WebFetch", fetched));
        assert_eq!(of_tool("mcp__a__b", &json!({})), [Want::Tool { name: "mcp__a__b".into() }]);
        let asked = |permission, metadata| of_permission(permission, &metadata, &json!(["one"]));
        assert_eq!(asked("bash", json!({"command": "ls"})), with_name("bash", command("ls")));
        assert_eq!(asked("edit", json!({"filepath": "/a"})), with_name("edit", vec![written("/a")]));
        let patch = json!({"filepath": "a, b", "files": [{"filePath": "/a", "movePath": "/c"}, {"filePath": "/b"}]});
        assert_eq!(asked("edit", patch), with_name("edit", vec![written("/a"), written("/b"), written("/c")]));
        let run = json!({"command": "/bin/bash -lc 'ls'", "cwd": "/w", "kind": "command"});
        assert_eq!(of_command(&run), at("/w", command("/bin/bash -lc 'ls'")));
        assert_eq!(of_command(&json!({"command": ["ls", "-l"]})), [Want::Run { argv: vec!["ls".into(), "-l".into()] }]);
        let execute = json!({"kind": "execute", "rawInput": {"command": "ls", "cwd": "/w"}});
        assert_eq!(of_call(&execute), at("/w", command("ls")));
        let edit = json!({"kind": "edit", "locations": [{"path": "/a"}], "content": [{"type": "diff", "path": "/b"}]});
        assert_eq!(of_call(&edit), [written("/a"), written("/b")]);
        let read = json!({"kind": "read", "locations": [{"path": "/a"}, {"path": "/b"}]});
        assert_eq!(of_call(&read), [read_of("/a"), read_of("/b")]);
        let changes = json!([{"path": "/a", "kind": {"type": "update", "move_path": "/b"}}]);
        assert_eq!(of_changes(&changes, &Value::Null), [written("/a"), written("/b")]);
    }

    #[test]
    fn what_is_not_told_or_not_all_of_it_can_be_forbidden_by_name_and_not_allowed() {
        assert_eq!(of_tool("Bash", &json!({"command": 7})), with_name("Bash", Vec::new()));
        let outside = json!({"command": "ls", "dangerouslyDisableSandbox": true});
        assert_eq!(of_tool("Bash", &outside), with_name("Bash", Vec::new()));
        assert_eq!(of_tool("Edit", &json!({})), with_name("Edit", Vec::new()));
        let asked = |metadata, patterns| of_permission("edit", &metadata, &patterns);
        for (metadata, patterns) in [
            (json!({"filepath": "a"}), json!(["a"])),
            (json!({"filepath": "/a, /b"}), json!(["a", "b"])),
            (json!({"files": [{"filePath": "/a"}, {}]}), json!(["a"])),
        ] {
            assert_eq!(asked(metadata, patterns), with_name("edit", Vec::new()));
        }
        for call in [
            json!({"kind": "execute", "title": "ls"}),
            json!({"kind": "execute", "rawInput": {"command": "git", "args": ["push"]}}),
            json!({"kind": "edit", "locations": [{"path": "/a"}, {}]}),
            json!({"kind": "read", "rawInput": {"command": "cat x"}, "locations": [{"path": "/a"}]}),
            json!({"kind": "move", "locations": [{"path": "/a"}]}),
            json!({"kind": "think"}),
        ] {
            assert_eq!(of_call(&call), [], "{call}");
        }
        assert_eq!(of_command(&json!({"command": ["ls", 7]})), []);
        assert_eq!(of_command(&json!({"command": "ls", "kind": "writeStdin"})), []);
        assert_eq!(of_command(&json!({"command": "ls", "additionalPermissions": {}})), []);
        assert_eq!(of_command(&json!({"command": "ls", "cwd": 7})), []);
        assert_eq!(of_changes(&json!([{"path": "/a"}, {}]), &Value::Null), []);
        assert_eq!(of_changes(&json!([{"path": "/a"}]), &json!("/a")), []);
    }
}
