import { ISessionContext } from '@jupyterlab/apputils';
import { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { ISignal, Signal } from '@lumino/signaling';

import { NotebookLink, Phase } from './link';
import { IPanelState } from './protocol';

/** The notebook's file says which conversation it is part of: it is found again when the file was renamed or moved. */
function remember(panel: NotebookPanel, state: IPanelState | null): void {
  const model = panel.isDisposed || !panel.context.isReady ? null : panel.context.model;
  const kept = model?.getMetadata('agentnb');
  if (model && state?.session && kept?.session !== state.session) {
    model.setMetadata('agentnb', { ...kept, session: state.session });
  }
}

/**
 * What the sidebar shows, without a word about how: it follows the active notebook.
 *
 * Every open notebook keeps its own line to its kernel, so that switching back shows the truth at once.
 */
export class SidebarModel {
  constructor(private readonly _tracker: INotebookTracker) {
    _tracker.widgetAdded.connect((_, panel) => this._follow(panel));
    _tracker.currentChanged.connect(() => this._changed.emit());
    _tracker.forEach(panel => this._follow(panel));
  }

  /** Emitted when anything below has changed. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The active notebook. */
  get notebook(): NotebookPanel | null {
    return this._tracker.currentWidget;
  }

  /** The file name of the active notebook. */
  get title(): string {
    return this.notebook?.context.path.split('/').pop() ?? '';
  }

  /** What is known of its kernel; `none` where no notebook is open. */
  get phase(): Phase | 'none' {
    return this._link?.phase ?? 'none';
  }

  /** What its kernel last said; present in the phase `live` only. */
  get state(): IPanelState | null {
    return this._link?.state ?? null;
  }

  setTool(name: string, enabled: boolean): void {
    this._link?.setTool(name, enabled);
  }

  /** Stop one run of the active notebook, or all of them. */
  stop(runId: string | null = null): void {
    this._link?.stop(runId);
  }

  /** Look for agentnb again, after it was loaded. */
  reconnect(): void {
    this._link?.reconnect();
  }

  private get _link(): NotebookLink | null {
    const session = this.notebook?.sessionContext;
    return (session && this._links.get(session)) ?? null;
  }

  private _follow(panel: NotebookPanel): void {
    const session = panel.sessionContext;
    panel.context.pathChanged.connect(() => this._changed.emit());
    // Two views of one notebook share its session, and so its line.
    if (this._links.has(session)) {
      return;
    }
    const link = new NotebookLink(session);
    this._links.set(session, link);
    link.changed.connect(() => {
      remember(panel, link.state);
      this._changed.emit();
    });
    session.disposed.connect(() => {
      this._links.delete(session);
      link.dispose();
    });
    this._changed.emit();
  }

  private readonly _links = new Map<ISessionContext, NotebookLink>();
  private readonly _changed = new Signal<this, void>(this);
}
