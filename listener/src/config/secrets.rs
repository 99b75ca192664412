//! Files with secrets are read where the service manager has put them.

use std::path::PathBuf;

use crate::service;
use crate::sink::config::SinkConfig;
use crate::web::WebConfig;

fn given<'a>(files: impl IntoIterator<Item = &'a mut Option<PathBuf>>) {
    for path in files.into_iter().flatten() {
        *path = service::credential(path);
    }
}

/// Those of the web server.
pub(super) fn of_web(web: &mut WebConfig) {
    given([&mut web.token_file, &mut web.certificate_file, &mut web.private_key_file]);
}

/// Those of the sinks.
pub(super) fn of_sink(mut sink: SinkConfig) -> SinkConfig {
    for webhook in &mut sink.webhook {
        given([&mut webhook.bearer_token_file, &mut webhook.hmac_secret_file]);
    }
    if let Some(nats) = &mut sink.nats {
        given([
            &mut nats.credentials_file,
            &mut nats.nkey_file,
            &mut nats.token_file,
            &mut nats.password_file,
            &mut nats.key_file,
        ]);
    }
    sink
}
