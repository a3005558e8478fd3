//! Everything that a key can do, by the names that the configuration, the palette and the help use.

/// Where a key means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Wherever ropewalk has the keys. A narrower scope goes before it.
    Everywhere,
    /// The list of sessions.
    Tree,
    /// What was said, or a program's screen, when neither is typed into.
    Reading,
    /// The prompt that is being written.
    Composer,
    /// A list over the screen.
    List,
    /// The questions that wait for a person.
    Asked,
    /// The prompts that wait for an agent.
    Queued,
}

impl Scope {
    /// What people call the place.
    pub const fn title(self) -> &'static str {
        match self {
            Scope::Everywhere => "everywhere",
            Scope::Tree => "sessions",
            Scope::Reading => "reading",
            Scope::Composer => "writing a prompt",
            Scope::List => "lists",
            Scope::Asked => "questions",
            Scope::Queued => "the queue",
        }
    }
}

/// One thing that a key can do.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// It.
    pub action: Action,
    /// Its stable name.
    pub name: &'static str,
    /// What it does, for people.
    pub help: &'static str,
    /// Where its keys mean it.
    pub scope: Scope,
    /// Its keys, unless the configuration says others: separated by commas, each one or more keys.
    pub keys: &'static str,
}

macro_rules! actions {
    ($($scope:ident { $($action:ident $name:literal $keys:literal $help:literal;)* })*) => {
        /// Everything that a key can do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action {
            $($(#[doc = $help] $action,)*)*
        }

        /// Every action, in the order of the help.
        pub const ACTIONS: &[Row] = &[
            $($(Row { action: Action::$action, name: $name, help: $help, scope: Scope::$scope, keys: $keys },)*)*
        ];
    };
}

actions! {
    Everywhere {
        Help "help" "f1, leader h" "Explain what is on the screen and which keys work here.";
        Palette "palette" "ctrl+p" "Choose anything there is to do by typing a part of its name.";
        CommandLine "command" "leader :" "Type a command, as on the command line: `prompt`, `cancel`, `rename`, `budget` …";
        Attention "attention" "leader w, alt+w" "Show everything that waits for you, in all sessions, and answer it.";
        Allow "allow" "alt+y" "Allow what the agent on the screen asks for, this once.";
        Always "always" "alt+a" "Allow it, and what is like it, from now on.";
        Deny "deny" "alt+n" "Deny it, with a reason.";
        Tree "sessions" "leader l" "Go to the list of sessions.";
        Write "write" "leader i" "Go to the prompt.";
        New "new" "leader n" "Start a session with an agent.";
        NextPane "next_pane" "leader tab, alt+right" "Go to the next agent on the screen.";
        PreviousPane "previous_pane" "alt+left" "Go to the one before.";
        Split "split" "leader v" "Show one more agent beside this one.";
        Grid "grid" "leader g" "Show the agents of this session in a grid.";
        Single "single" "leader o" "Show this agent alone.";
        ClosePane "close_pane" "leader x" "Take this agent off the screen; it goes on.";
        Child "child" "leader down" "Go to the agent below: one that works for this one.";
        Parent "parent" "leader up" "Go to the agent that this one works for.";
        NextSession "next_session" "leader right, alt+down" "Go to the next session.";
        PreviousSession "previous_session" "leader left, alt+up" "Go to the session before.";
        Queue "queue" "leader p" "List the prompts that wait: edit, move, withdraw them.";
        Timeline "timeline" "leader t" "Show what happened, event by event, and go there.";
        SearchAll "search_all" "leader /" "Search what was said in all sessions.";
        Mode "mode" "shift+tab" "Have the agent work in its next mode.";
        Rename "rename" "leader r" "Give the session another name.";
        Copy "copy" "leader y" "Copy the newest answer, or what is selected.";
        Export "export" "leader f" "Show the whole transcript, as Markdown.";
        Cancel "cancel" "leader c" "Cancel the running turn: the agent is asked, and made to in time; once more ends its process.";
        Fold "fold" "ctrl+o, leader d" "Show or fold thinking and what tools put out; while writing, show a folded paste.";
        Mouse "mouse" "leader m" "Take the mouse, or leave it to the terminal.";
        Redraw "redraw" "ctrl+l" "Draw the screen anew.";
        Suspend "suspend" "ctrl+z" "Stop, as a shell's job; `fg` brings it back.";
        Interrupt "interrupt" "ctrl+c" "Clear the prompt, or close what is open; twice: leave. Agents go on.";
        Quit "quit" "leader q" "Leave. Agents go on.";
    }
    Composer {
        Send "send" "enter" "Send the prompt; into the running turn, if there is one and the agent can.";
        Enqueue "enqueue" "tab" "Send it for after the running turn; completes a name that begins with @.";
        Newline "newline" "shift+enter, alt+enter, ctrl+enter, ctrl+j" "Begin another line.";
        Editor "editor" "ctrl+g, leader e" "Write the prompt in $EDITOR.";
        Stash "stash" "ctrl+s" "Put the draft away, or bring it back.";
        HistorySearch "history_search" "ctrl+r" "Search the prompts you sent before.";
        Back "back" "esc" "Stop the running turn: press it twice. Else go to what was said.";
        Leave "leave" "ctrl+d" "Delete to the right; on an empty prompt: leave. Agents go on.";
        CursorLeft "cursor_left" "left, ctrl+b" "A character to the left.";
        CursorRight "cursor_right" "right, ctrl+f" "A character to the right.";
        CursorUp "cursor_up" "up" "A line up; from the first one: the prompt before, of those you sent.";
        CursorDown "cursor_down" "down, ctrl+n" "A line down; from the last one: the next prompt, of those you sent.";
        LineStart "line_start" "home, ctrl+a" "To the beginning of the line.";
        LineEnd "line_end" "end, ctrl+e" "To the end of the line.";
        WordLeft "word_left" "alt+b, ctrl+left" "A word to the left.";
        WordRight "word_right" "alt+f, ctrl+right" "A word to the right.";
        DeleteLeft "delete_left" "backspace, ctrl+h" "Delete a character to the left.";
        DeleteRight "delete_right" "delete" "Delete a character to the right.";
        DeleteWordLeft "delete_word_left" "ctrl+w, alt+backspace" "Delete a word to the left.";
        DeleteWordRight "delete_word_right" "alt+d" "Delete a word to the right.";
        DeleteToStart "delete_to_start" "ctrl+u" "Delete to the beginning of the line.";
        DeleteToEnd "delete_to_end" "ctrl+k" "Delete to the end of the line.";
        Yank "yank" "ctrl+y" "Put in what was deleted last.";
        Undo "undo" "ctrl+_, alt+u" "Undo.";
        Redo "redo" "alt+r" "Redo.";
        ScrollUp "scroll_up" "pageup, ctrl+alt+u" "Scroll back, and go on writing.";
        ScrollDown "scroll_down" "pagedown, ctrl+alt+d" "Scroll forth.";
    }
    Reading {
        ReadCompose "compose" "i, a" "Write a prompt.";
        Enter "enter" "enter" "Answer what is asked; open or fold what is selected; type into the program.";
        LineUp "line_up" "k, up" "A line up.";
        LineDown "line_down" "j, down" "A line down.";
        HalfUp "half_up" "u, ctrl+u" "Half a page up.";
        HalfDown "half_down" "d, ctrl+d" "Half a page down.";
        PageUp "page_up" "b, pageup, ctrl+b" "A page up.";
        PageDown "page_down" "f, pagedown, ctrl+f, space" "A page down.";
        Top "top" "g, home, <" "To the beginning.";
        Bottom "bottom" "G, end, >" "To the end, and follow what comes.";
        TurnUp "turn_up" "[" "To the turn before.";
        TurnDown "turn_down" "]" "To the next turn.";
        ItemUp "item_up" "K, {" "Select what was said or done before.";
        ItemDown "item_down" "J, }" "Select what was said or done next.";
        Search "search" "/" "Search in what was said; in lists: filter.";
        SearchNext "search_next" "n" "The next place, further back.";
        SearchPrevious "search_previous" "N" "The one before, further on.";
        CopyItem "copy_item" "y" "Copy what is selected, or the newest answer.";
        ReadHelp "explain" "?" "Explain what is on the screen.";
        ReadCommand "command_line" ":" "Type a command.";
        ReadBack "to_sessions" "esc, h, left, q" "Back: to the end, to the prompt, to the sessions.";
        ReadTimeline "history" "t" "Show what happened, event by event.";
    }
    Tree {
        TreeUp "tree_up" "k, up" "Up.";
        TreeDown "tree_down" "j, down" "Down.";
        TreeTop "tree_top" "g, home" "To the first one.";
        TreeBottom "tree_bottom" "G, end" "To the last one.";
        TreeOpen "open" "enter, l, right" "Show it.";
        TreeSplit "open_beside" "v" "Show it beside what is shown.";
        TreeNew "new_session" "n" "Start a session with an agent.";
        TreeRename "rename_session" "r" "Give it another name.";
        TreeAll "all_projects" "A" "Show the sessions of all directories, or of this one.";
        TreeEnded "ended_sessions" "E" "Show sessions that ended, or leave them out.";
        TreeEnd "end_session" "X" "End it: its programs are asked to stop. It is asked for first.";
        TreeFilter "filter" "/" "Filter by name, directory, agent or state; `!` before a word: those without it.";
        TreeCommand "tree_command" ":" "Type a command.";
        TreeHelp "tree_help" "?" "Explain what is on the screen.";
        TreeBack "tree_back" "esc, q, h, left" "Back to what was said.";
    }
    List {
        ListUp "list_up" "up, ctrl+p" "Up.";
        ListDown "list_down" "down, ctrl+n" "Down.";
        ListPageUp "list_page_up" "pageup" "A page up.";
        ListPageDown "list_page_down" "pagedown" "A page down.";
        ListTop "list_top" "home" "To the first one.";
        ListBottom "list_bottom" "end" "To the last one.";
        ListChoose "choose" "enter" "Take it.";
        ListClose "close" "esc" "Close.";
    }
    Asked {
        AskAllow "ask_allow" "a, y" "Allow it, this once.";
        AskAlways "ask_always" "A" "Allow it, and what is like it, from now on.";
        AskDeny "ask_deny" "d, n" "Deny it; a reason may be given.";
        AskText "ask_text" "t, i" "Type the answer.";
        AskShow "ask_show" "o, enter" "Show the agent that asks.";
        AskNext "ask_next" "j, tab" "The next question.";
        AskPrevious "ask_previous" "k, shift+tab" "The question before.";
    }
    Queued {
        QueueEdit "queue_edit" "e, enter" "Say something else.";
        QueueWithdraw "queue_withdraw" "x, delete" "Take it back.";
        QueueUp "queue_up" "K, alt+up" "Deliver it sooner.";
        QueueDown "queue_down" "J, alt+down" "Deliver it later.";
    }
}

impl Action {
    /// Its row.
    pub fn row(self) -> &'static Row {
        let row = ACTIONS.iter().find(|row| row.action == self);
        row.expect("every action has a row: both are made of the same list")
    }

    /// The action of this name.
    pub fn named(name: &str) -> Option<Self> {
        ACTIONS.iter().find(|row| row.name == name).map(|row| row.action)
    }
}
