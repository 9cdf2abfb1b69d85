/** Every command of the extension. */
export namespace CommandIDs {
  /** Show the sidebar, or hide it. */
  export const toggle = 'agentnb:toggle-sidebar';
  /** Run `%load_ext agentnb` in the active notebook. */
  export const load = 'agentnb:load';
  /** Stop every run of the active notebook. */
  export const stop = 'agentnb:stop';
}

/** The id of the plugin and the namespace of its strings. */
export const PLUGIN_ID = 'agentnb:sidebar';
export const DOMAIN = 'agentnb';
