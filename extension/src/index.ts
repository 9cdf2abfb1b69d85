import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { agentIcon } from './icon';
import { loadAgentnb } from './load';
import { SidebarModel } from './model';
import { SidebarPanel } from './panel';
import { CommandIDs, DOMAIN, PLUGIN_ID } from './tokens';

/** The commands of the sidebar, also in the command palette. */
function addCommands(
  app: JupyterFrontEnd,
  model: SidebarModel,
  panel: SidebarPanel,
  translator: ITranslator,
  palette: ICommandPalette | null
): void {
  const trans = translator.load(DOMAIN);
  const { commands, shell } = app;
  const noArguments = { args: { type: 'object' } };

  commands.addCommand(CommandIDs.toggle, {
    label: trans.__('Show or Hide the Agent Sidebar'),
    icon: agentIcon,
    describedBy: noArguments,
    isToggled: () => panel.isVisible,
    execute: () => {
      if (panel.isVisible && 'collapseRight' in shell && typeof shell.collapseRight === 'function') {
        shell.collapseRight();
      } else {
        shell.activateById(panel.id);
      }
    }
  });
  commands.addCommand(CommandIDs.load, {
    label: trans.__('Load agentnb in this Notebook'),
    describedBy: noArguments,
    isEnabled: () => model.notebook !== null,
    execute: async () => {
      if (model.notebook && (await loadAgentnb(model.notebook))) {
        model.reconnect();
      }
    }
  });
  commands.addCommand(CommandIDs.stop, {
    label: trans.__('Stop the Agent'),
    describedBy: noArguments,
    isEnabled: () => (model.state?.runs.length ?? 0) > 0,
    execute: () => model.stop()
  });
  model.changed.connect(() => commands.notifyCommandChanged());

  for (const command of Object.values(CommandIDs)) {
    palette?.addItem({ command, category: trans.__('Agent') });
  }
}

const sidebar: JupyterFrontEndPlugin<void> = {
  id: PLUGIN_ID,
  description: "The active notebook's agent: its model, its tools, what it does, and a way to stop it.",
  autoStart: true,
  optional: [INotebookTracker, ITranslator, ILayoutRestorer, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    tracker: INotebookTracker | null,
    translator: ITranslator | null,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null
  ) => {
    // Pages without notebooks (Notebook 7's file list, its terminals) have nothing to show.
    if (!tracker) {
      return;
    }
    const model = new SidebarModel(tracker);
    const panel = new SidebarPanel(model, app.commands, translator ?? nullTranslator);
    app.shell.add(panel, 'right', { rank: 500, type: 'Agent' });
    restorer?.add(panel, panel.id);
    addCommands(app, model, panel, translator ?? nullTranslator, palette);
  }
};

export default sidebar;
