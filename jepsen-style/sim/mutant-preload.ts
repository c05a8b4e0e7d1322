/** Loaded ahead of everything else by a process that runs a mutant: has its file changed. */
import { register } from "node:module";

register("./mutant-loader.js", import.meta.url);
