#!/usr/bin/env node
/** The process that is flotctl. */
import { runFlotctl } from "./run-flotctl.js";
import { connectBySdk } from "./sdk-connection.js";
import { endProcess, systemTerminal } from "./system-terminal.js";

endProcess(await runFlotctl(process.argv.slice(2), systemTerminal(), connectBySdk));
