//! The `vouchsafe` command. All of it is in the library beside this file.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Here and not in the library: what links that chooses an allocator of its own.
#[global_allocator]
static HEAP: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    vouchsafe_cli::main()
}
