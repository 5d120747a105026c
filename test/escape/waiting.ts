import type { Waiting } from './check.js';

const images = 'unpacking of images';

/** What the catalogue has and ringfort has nothing for yet: to be checks when it has. */
export const waiting: readonly Waiting[] = [
  {
    id: '04',
    attack: '/dev/console of the root is a link (CVE-2025-52565)',
    waitsFor: 'a /dev/console; a terminal is opened by TIOCGPTPEER, on no path',
  },
  {
    id: '23-hooks',
    attack: 'a hook runs with the guest’s environment (CVE-2025-23266)',
    waitsFor: 'hooks',
  },
  {
    id: '33-images',
    attack: 'labels and annotations of an image steer the host (CVE-2026-53488)',
    waitsFor: 'images',
  },
  { id: '34', attack: 'archive entries that leave by links (CVE-2021-29136)', waitsFor: images },
  { id: '36', attack: 'whiteouts that delete outside', waitsFor: images },
  {
    id: '37',
    attack: 'device nodes, set-id bits and file capabilities in layers',
    waitsFor: images,
  },
  { id: '38', attack: 'archive bombs', waitsFor: images },
  {
    id: '68',
    attack: 'a teardown deletes through a mount that is still there',
    waitsFor:
      'roots that ringfort makes and removes; a teardown has only rmdir of cgroups, layers are looked at without what is mounted below them (`layersMounted.test`)',
  },
];
