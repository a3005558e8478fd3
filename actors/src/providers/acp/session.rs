//! The conversation with an agent, and what it takes until it takes prompts. Pure.

use std::collections::BTreeMap;

use ropewalk_protocol::NoticeKind;
use serde_json::Value;

use super::super::{Observed, title};
use super::ids::{Setting, Way};
use super::wire::{METHODS_MAX, OPEN, notice, word};

/// What is known of the agent and its conversation.
#[derive(Debug, Default)]
pub(crate) struct Session {
    version: Option<String>,
    /// The agent counts tokens over the whole conversation.
    pub(crate) counts_on: bool,
    /// What people can do where the agent wants them to log in.
    pub(crate) logins: String,
    conversation: Option<String>,
    model: Option<String>,
    mode: Option<String>,
    /// The ways to set something that the agent offers.
    offered: Vec<(Setting, Way)>,
    /// What can be set in two ways, and was answered in the first of them so far: whether it was taken.
    half_answered: BTreeMap<Setting, bool>,
    /// Replies to the last step of the greeting.
    replies: usize,
    /// It takes prompts. What comes before is history.
    pub(crate) is_ready: bool,
    pub(crate) is_loaded: bool,
    pub(crate) told_history: bool,
}

impl Session {
    /// The agent told what it is.
    pub(crate) fn initialized(&mut self, result: &Value, seen: &mut Vec<Observed>) {
        if let Some(version) = result["protocolVersion"].as_u64().filter(|version| *version != super::VERSION) {
            let ours = super::VERSION;
            let reason =
                format!("the agent speaks version {version} of the Agent Client Protocol, this build speaks {ours}");
            return seen.push(Observed::Refused { reason });
        }
        let agent = &result["agentInfo"];
        self.version = agent["version"].as_str().map(word);
        self.counts_on = agent["name"] == "@mistralai/mistral-vibe";
        let methods = result["authMethods"].as_array().map_or(&[][..], Vec::as_slice);
        let logins = methods.iter().take(METHODS_MAX).filter_map(|method| {
            let name = method["name"].as_str().or(method["id"].as_str())?;
            let description =
                method["description"].as_str().map_or_else(String::new, |text| format!(" ({})", title(text)));
            Some(format!("{}{description}", title(name)))
        });
        let logins: Vec<String> = logins.collect();
        if !logins.is_empty() {
            self.logins = format!(". The agent offers: {}", logins.join("; "));
        }
        seen.push(Observed::Greeted { step: OPEN });
    }

    /// The conversation is open.
    pub(crate) fn opened(&mut self, conversation: &str, result: &Value) {
        self.conversation = Some(conversation.to_owned());
        let offers = |list: &Value| list.as_array().is_some_and(|list| !list.is_empty());
        if offers(&result["models"]["availableModels"]) {
            self.offered.push((Setting::Model, Way::Method));
        }
        if offers(&result["modes"]["availableModes"]) {
            self.offered.push((Setting::Mode, Way::Method));
        }
        for setting in Setting::ALL {
            if option(&result["configOptions"], setting).is_some() {
                self.offered.push((setting, Way::Option));
            }
        }
        let current =
            |setting| option(&result["configOptions"], setting).and_then(|option| option["currentValue"].as_str());
        self.model = result["models"]["currentModelId"].as_str().or(current(Setting::Model)).map(word);
        self.mode = result["modes"]["currentModeId"].as_str().or(current(Setting::Mode)).map(word);
    }

    /// One more reply to the last step of the greeting has come, of so many; whether it was the last one.
    pub(crate) fn replied(&mut self, awaited: usize) -> bool {
        self.replies += usize::from(awaited > 0);
        awaited > 0 && self.replies >= awaited && !self.is_ready
    }

    /// The agent takes prompts.
    pub(crate) fn ready(&mut self, seen: &mut Vec<Observed>) {
        self.is_ready = true;
        if self.is_loaded && !self.told_history {
            // Some agents open a new conversation where they do not know the old one, and say nothing.
            let text = "the agent told no history of the conversation: it may have begun a new one";
            notice(NoticeKind::Warning, text, seen);
        }
        let (conversation, version) = (self.conversation.clone(), self.version.clone());
        let (model, mode) = (self.model.clone(), self.mode.clone());
        seen.push(Observed::Ready { conversation, version, model, mode });
    }

    /// The agent took a setting in this way, or did not: whether people are to know that it did not. Of two ways those that it
    /// offers count, and where it offers both, one that it takes is enough.
    pub(crate) fn is_refused(&mut self, setting: Setting, way: Way, is_taken: bool) -> bool {
        let is_offered = |way| self.offered.contains(&(setting, way));
        if Way::ALL.into_iter().all(is_offered) {
            return match self.half_answered.remove(&setting) {
                Some(was_taken) => !was_taken && !is_taken,
                None => {
                    self.half_answered.insert(setting, is_taken);
                    false
                }
            };
        }
        !is_taken && (is_offered(way) || way == Way::Method && !is_offered(Way::Option))
    }

    /// A model or mode is in use now.
    pub(crate) fn is_set(&mut self, setting: Setting, value: &str, seen: &mut Vec<Observed>) {
        let value = word(value);
        let known = match setting {
            Setting::Model => &mut self.model,
            Setting::Mode => &mut self.mode,
        };
        if known.as_ref() == Some(&value) {
            return;
        }
        *known = Some(value.clone());
        if self.is_ready {
            let (model, mode) = match setting {
                Setting::Model => (Some(value), None),
                Setting::Mode => (None, Some(value)),
            };
            seen.push(Observed::Ready { conversation: None, version: None, model, mode });
        }
    }

    /// The agent told of a model or a mode.
    pub(crate) fn settings_update(&mut self, update: &Value, seen: &mut Vec<Observed>) {
        if let Some(mode) = update["currentModeId"].as_str() {
            self.is_set(Setting::Mode, mode, seen);
        }
        for setting in Setting::ALL {
            let option = option(&update["configOptions"], setting);
            if let Some(value) = option.and_then(|option| option["currentValue"].as_str()) {
                self.is_set(setting, value, seen);
            }
        }
    }
}

/// The option of a session that sets a model or a mode.
fn option(options: &Value, setting: Setting) -> Option<&Value> {
    options.as_array()?.iter().find(|option| option["id"] == setting.name())
}
