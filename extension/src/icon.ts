import { LabIcon } from '@jupyterlab/ui-components';

/** A notebook cell with a spark in it; drawn for agentnb. */
export const agentIcon = new LabIcon({
  name: 'agentnb:agent',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161">
    <path d="M5 3h8v2H5v14h14v-8h2v8a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2z"/>
    <path d="M18 1l1.3 3.7L23 6l-3.7 1.3L18 11l-1.3-3.7L13 6l3.7-1.3z"/>
    <path d="M7.4 9.2L10.7 12l-3.3 2.8 1.1 1.3L13.3 12 8.5 7.900z"/>
    <path d="M12.500 15h4.500v1.700h-4.500z"/>
  </g>
</svg>`
});
