//! The `mcpgate` command; everything is in the library's `cli` room.

fn main() -> std::process::ExitCode {
    mcpgate::cli::main()
}
