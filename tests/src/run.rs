//! How a program is to be started: arguments, input, network, and what it finds in the file system.

use crate::netns::Netns;
use crate::output::Output;
use crate::process::Proc;
use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::NamedTempFile;

/// Bind-mounts pairs of arguments (source, target) up to `--`, then becomes the program.
///
/// The kernel makes no files in `/sys` and `/proc`, so a target that this machine's kernel does
/// not have gets a tmpfs over its folder.
const MOUNT_AND_EXEC: &str = r#"
set -e
while [ "$1" != -- ]; do
    case $2 in
    /sys/* | /proc/*)
        [ -e "$2" ] || { true >"$2"; } 2>/dev/null || {
            mount -t tmpfs none "$(dirname "$2")"
            true >"$2"
        } ;;
    esac
    mount --bind "$1" "$2"
    shift 2
done
shift
exec "$@"
"#;

/// A program to be started. See the example at the top of this crate.
#[derive(Debug)]
#[must_use = "nothing runs until spawn() or run()"]
pub struct Run<'net> {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
    stdin: Option<Vec<u8>>,
    netns: Option<&'net Netns>,
    binds: Vec<(PathBuf, PathBuf)>,
    files: Vec<NamedTempFile>,
}

impl<'net> Run<'net> {
    /// `program`, with no arguments, an empty standard input, and the test's own network.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            folder: None,
            stdin: Some(Vec::new()),
            netns: None,
            binds: Vec::new(),
            files: Vec::new(),
        }
    }

    /// Adds one argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable of its environment.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Starts it in this folder.
    pub fn folder(mut self, folder: impl AsRef<Path>) -> Self {
        self.folder = Some(folder.as_ref().to_owned());
        self
    }

    /// What it reads from its standard input, which is then at its end.
    pub fn stdin(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(text.into());
        self
    }

    /// Leaves its standard input open, for [`Proc::write_stdin`].
    pub fn open_stdin(mut self) -> Self {
        self.stdin = None;
        self
    }

    /// Starts it in this network.
    pub fn inside(mut self, netns: &'net Netns) -> Self {
        self.netns = Some(netns);
        self
    }

    /// Lets it see the file or folder `source` at `target`, in a mount namespace of its own.
    ///
    /// # Panics
    /// When `target` does not exist, except under `/sys` and `/proc`: there an empty file is put in
    /// its place first, under a tmpfs that hides the rest of its folder.
    #[track_caller]
    pub fn bind(mut self, source: impl AsRef<Path>, target: impl AsRef<Path>) -> Self {
        let (source, target) = (source.as_ref(), target.as_ref());
        let virtual_file = target.starts_with("/sys") || target.starts_with("/proc");
        let place = target.display();
        assert!(virtual_file || target.exists(), "{place}: must exist to be mounted over");
        self.binds.push((source.to_owned(), target.to_owned()));
        self
    }

    /// Lets it see a file with this text at `target`; see [`Run::bind`].
    ///
    /// # Panics
    /// As [`Run::bind`], and when the file cannot be written.
    #[track_caller]
    pub fn file(mut self, target: impl AsRef<Path>, text: impl AsRef<[u8]>) -> Self {
        let mut file = NamedTempFile::new().expect("a temporary file");
        file.write_all(text.as_ref()).expect("a writable temporary file");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        file.as_file().set_permissions(mode).expect("our own file");
        let source = file.path().to_owned();
        self.files.push(file);
        self.bind(source, target)
    }

    /// Starts it.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    #[must_use = "dropping it kills the program"]
    pub fn spawn(self) -> Proc {
        let line = self.to_line();
        let mut command = if self.binds.is_empty() {
            Command::new(&self.program)
        } else {
            let mut command = Command::new("unshare");
            command.args(["--mount", "--", "sh", "-c", MOUNT_AND_EXEC, "sh"]);
            for (source, target) in &self.binds {
                command.arg(source).arg(target);
            }
            command.arg("--").arg(&self.program);
            command
        };
        // cargo's search path for test libraries: nobody has it who runs the program for real, and
        // each folder of it costs a dynamic program system calls.
        command.args(&self.args).env_remove("LD_LIBRARY_PATH").envs(self.env);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let (stdin, files) = (self.stdin, self.files);
        let start = move || Proc::start(command, line, stdin);
        match self.netns {
            Some(netns) => netns.enter(start),
            None => start(),
        }
        .keeping(files)
    }

    /// Starts it and waits for its end, at most `limit`.
    ///
    /// # Panics
    /// As [`Run::spawn`] and [`Proc::wait_for`].
    #[track_caller]
    #[must_use]
    pub fn run(self, limit: Duration) -> Output {
        self.spawn().wait_for(limit)
    }

    fn to_line(&self) -> String {
        let words = std::iter::once(&self.program).chain(&self.args);
        words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }
}
