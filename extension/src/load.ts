import { NotebookActions, NotebookPanel } from '@jupyterlab/notebook';

const LOAD = '%load_ext agentnb';

/**
 * Load agentnb in a notebook by a cell of the notebook, so that its file says what it needs.
 *
 * A cell that already does so is run; otherwise a new one goes first. Resolves to whether it ran well.
 */
export async function loadAgentnb(panel: NotebookPanel): Promise<boolean> {
  const notebook = panel.content;
  let index = notebook.widgets.findIndex(
    cell => cell.model.type === 'code' && cell.model.sharedModel.getSource().trim() === LOAD
  );
  if (index < 0) {
    index = 0;
    panel.model?.sharedModel.insertCell(0, { cell_type: 'code', source: LOAD, metadata: {} });
  }
  return NotebookActions.runCells(notebook, [notebook.widgets[index]], panel.sessionContext);
}
