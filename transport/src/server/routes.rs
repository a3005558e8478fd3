//! The HTTP face: health, metrics, schema, and the upgrade to a WebSocket.

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{ConnectInfo, State, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use ropewalk_protocol::{Code, DaemonInfo, ErrorObject, Rejection, SUBPROTOCOL, SUBPROTOCOL_BINCODE, limits, schema};

use super::admission::{Peer, admit_host, admit_origin, bearer};
use super::connection;
use super::event_frames::EventFrames;
use super::listen::{Incoming, Visitor};
use crate::backend::{Backend, Wire};

#[derive(Clone)]
struct Shared<B> {
    backend: B,
    frames: Arc<EventFrames>,
}

/// Serves until `stop` ends, then lets go of every connection.
///
/// # Errors
/// The listeners broke.
pub async fn serve<B: Backend>(
    incoming: Incoming,
    backend: B,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let shared = Shared { backend, frames: Arc::default() };
    let app = Router::new()
        .route("/health", get(health::<B>))
        .route("/metrics", get(metrics::<B>))
        .route("/schema.json", get(schema_json))
        .route("/v1", get(upgrade::<B>))
        .with_state(shared);
    let service = app.into_make_service_with_connect_info::<Visitor>();
    tokio::select! {
        biased;
        served = axum::serve(incoming, service).into_future() => served,
        () = stop => Ok(()),
    }
}

async fn health<B: Backend>(State(shared): State<Shared<B>>, headers: HeaderMap) -> Response {
    if let Err(rejection) = admit_host(&headers).and_then(|()| admit_origin(&headers)) {
        return refuse(rejection);
    }
    // Not why: whoever asks has shown no token.
    let status = if shared.backend.is_degraded() { "degraded" } else { "ok" };
    axum::Json(serde_json::json!({"status": status, "head": shared.backend.head()})).into_response()
}

async fn metrics<B: Backend>(
    State(shared): State<Shared<B>>,
    ConnectInfo(visitor): ConnectInfo<Visitor>,
    headers: HeaderMap,
) -> Response {
    match admit(&shared.backend, &visitor.peer, &headers) {
        Ok(Some(backend)) => match backend.metrics() {
            Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
            Err(rejection) => refuse(rejection),
        },
        Ok(None) => refuse(Rejection::new(Code::Unauthenticated, "the request carries no token")),
        Err(rejection) => refuse(rejection),
    }
}

async fn schema_json(headers: HeaderMap) -> Response {
    match admit_host(&headers).and_then(|()| admit_origin(&headers)) {
        Ok(()) => axum::Json(schema::json_schema()).into_response(),
        Err(rejection) => refuse(rejection),
    }
}

async fn upgrade<B: Backend>(
    State(shared): State<Shared<B>>,
    ConnectInfo(visitor): ConnectInfo<Visitor>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let admitted = match admit(&shared.backend, &visitor.peer, &headers) {
        Ok(admitted) => admitted,
        Err(rejection) => return refuse(rejection),
    };
    // Who may not connect is told so before what is wrong with the request.
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    if let Err(rejection) = admit_version(&shared.backend, &headers) {
        return refuse(rejection);
    }
    if visitor.seat.is_turned_away() {
        return refuse(Rejection::new(Code::Busy, format!("{} connections are open", limits::CONNECTIONS_MAX)));
    }
    upgrade
        .protocols([SUBPROTOCOL, SUBPROTOCOL_BINCODE])
        .max_message_size(limits::FRAME_BYTES_MAX)
        .max_frame_size(limits::FRAME_BYTES_MAX)
        .read_buffer_size(limits::READ_BUFFER_BYTES)
        .on_upgrade(async move |socket| {
            let bincode = socket.protocol().is_some_and(|protocol| protocol == SUBPROTOCOL_BINCODE);
            let wire = if bincode { Wire::Bincode } else { Wire::Json };
            visitor.seat.enter();
            let authenticated = admitted.is_some();
            let backend = admitted.unwrap_or(shared.backend);
            connection::run(socket, backend, wire, authenticated, shared.frames, visitor.seat).await;
        })
        .into_response()
}

/// The backend as the sender sees it, if the request proves who that is. Without a token a WebSocket may still prove it in
/// hello.
fn admit<B: Backend>(backend: &B, peer: &Peer, headers: &HeaderMap) -> Result<Option<B>, Rejection> {
    admit_host(headers)?;
    admit_origin(headers)?;
    match bearer(headers) {
        Some(token) => backend.admit(token).map(Some),
        None => Ok(peer.is_trusted().then(|| backend.clone())),
    }
}

/// A client that names the versions it speaks, and not this one, is told so at once: a connection that looks well and then
/// answers nothing is worse.
fn admit_version<B: Backend>(backend: &B, headers: &HeaderMap) -> Result<(), Rejection> {
    let Some(offered) = headers.get(header::SEC_WEBSOCKET_PROTOCOL).and_then(|offered| offered.to_str().ok()) else {
        return Ok(());
    };
    if offered.split(',').any(|one| [SUBPROTOCOL, SUBPROTOCOL_BINCODE].contains(&one.trim())) {
        return Ok(());
    }
    let DaemonInfo { version, build, .. } = backend.welcome().daemon;
    let offered: String = offered.chars().take(100).collect();
    let message = format!("daemon {version} (build {build}) speaks {SUBPROTOCOL}; the client speaks {offered:?}");
    Err(Rejection::new(Code::UnsupportedVersion, message))
}

fn refuse(rejection: Rejection) -> Response {
    tracing::warn!(code = %rejection.code.name(), message = %rejection.message, "a request was refused");
    let status = match rejection.code {
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::Busy => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::FORBIDDEN,
    };
    (status, axum::Json(serde_json::json!({"error": ErrorObject::from(rejection)}))).into_response()
}
