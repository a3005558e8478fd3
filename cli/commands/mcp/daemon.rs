//! The way to the daemon: its discovery file lies beside the directory of the run's token.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ropewalk_protocol::{AgentId, ClientId, ClientInfo, Code, Query, QueryResult, Rejection, SessionId, SessionView};
use ropewalk_transport::client::{Client, ClientError, Dial, Io, Options};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

use crate::connect::GIVE_UP_AFTER;
use crate::daemon::discovery::Discovery;
use crate::daemon::run_tokens::RunOf;
use crate::paths::Paths;

/// The bound on a token's file.
const TOKEN_BYTES_MAX: u64 = 1024;

/// Where the token lies.
#[derive(Clone)]
pub(super) struct Access {
    token_file: PathBuf,
}

impl Access {
    pub(super) fn new(token_file: PathBuf) -> Self {
        Self { token_file }
    }

    /// Whose run the token is of, by its own word; the daemon holds it against the proof.
    pub(super) async fn own(&self) -> io::Result<RunOf> {
        let token = self.token().await?;
        RunOf::named_by(&token).ok_or_else(|| io::Error::other(format!("{} is no token", self.token_file.display())))
    }

    async fn token(&self) -> io::Result<String> {
        let mut text = String::new();
        tokio::fs::File::open(&self.token_file).await?.take(TOKEN_BYTES_MAX).read_to_string(&mut text).await?;
        Ok(text.trim().to_owned())
    }

    /// A connection, as the run.
    pub(super) async fn connect(&self) -> Result<Session, Rejection> {
        let no_token = |error: io::Error| {
            let message = format!("the run's token cannot be read: {error}");
            Rejection::new(Code::Unauthenticated, message).hint("The run that it was of may have ended.")
        };
        let RunOf { session, agent, .. } = self.own().await.map_err(no_token)?;
        let info = ClientInfo {
            name: "ropewalk-mcp".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            instance: Some(ClientId::from(uuid::Uuid::now_v7())),
        };
        let options = Options { info, bincode: false, give_up_after: Some(GIVE_UP_AFTER) };
        let connected = Client::connect(self.dial(), options).await;
        let client = connected.map_err(|error| match error {
            ClientError::Refused(rejection) => rejection,
            unreachable @ ClientError::Unreachable(_) => Rejection::new(Code::ShuttingDown, unreachable.to_string())
                .hint("The daemon does not run, or is just being started anew. Try again in a moment."),
        })?;
        Ok(Session { client, session, agent })
    }

    /// By the socket only: a port may be somebody else's by now, who must not be shown the token.
    fn dial(&self) -> Dial {
        let access = self.clone();
        Arc::new(move || {
            let access = access.clone();
            Box::pin(async move {
                let token = access.token().await?;
                let runtime = access.token_file.parent().and_then(Path::parent);
                let found = runtime.and_then(|runtime| Discovery::read_from(&Paths::discovery_in(runtime)));
                let socket = found.ok_or(io::ErrorKind::NotFound)?.socket;
                let stream = UnixStream::connect(socket).await?;
                Ok((Box::new(stream) as Box<dyn Io>, Some(token)))
            })
        })
    }
}

/// The session of the agent that the server works for.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) session: SessionId,
    /// The agent itself.
    pub(super) agent: AgentId,
}

impl Session {
    /// The session as it is now.
    pub(super) async fn view(&self) -> Result<SessionView, Rejection> {
        let answer = self.client.query(Query::SessionGet { reference: self.session.to_string() }).await?;
        match answer.result {
            QueryResult::Session { session } => Ok(session),
            _ => Err(Rejection::new(Code::UnsupportedVersion, "the daemon answered something else")),
        }
    }
}
