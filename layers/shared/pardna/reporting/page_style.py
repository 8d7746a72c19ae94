"""The report's style sheet, inside the page: it must look the same offline, in ten years."""

CSS = """
:root{--ink:#1c2430;--quiet:#5a6576;--line:#dfe4ea;--paper:#fff;--back:#f4f6f8;--accent:#0b6b4f;
--good:#0b6b4f;--good-back:#e3f4ed;--warn:#8a4b00;--warn-back:#fdf1dd;--bad:#a3231b;--bad-back:#fdeae8;
--tint:#eef3f8;color-scheme:light dark}
@media (prefers-color-scheme:dark){:root{--ink:#e7ecf2;--quiet:#a3afbf;--line:#313b49;--paper:#171d26;
--back:#0f141b;--accent:#5fd0a7;--good:#5fd0a7;--good-back:#12352b;--warn:#f2b866;--warn-back:#3a2a10;
--bad:#ff9d94;--bad-back:#421b18;--tint:#1e2732}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
.skip{position:absolute;left:-999px}.skip:focus{left:8px;top:8px;background:var(--paper);padding:8px;z-index:1}
header,main,footer{max-width:1080px;margin:0 auto;padding:0 20px}
header{padding-top:32px}
.eyebrow{margin:0;color:var(--accent);font-weight:600;letter-spacing:.02em}
h1{margin:.1em 0 .2em;font-size:clamp(1.6rem,4vw,2.3rem);line-height:1.15;text-wrap:balance}
h2{margin:0 0 4px;font-size:1.2rem}
h3{margin:20px 0 6px;font-size:1rem}
p{margin:0 0 10px}.quiet{color:var(--quiet)}.small{font-size:.86rem;margin:0;overflow-wrap:anywhere}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(180px,1fr));gap:12px;margin:18px 0 0;padding:0}
.facts div{background:var(--paper);border:1px solid var(--line);border-radius:12px;padding:12px 16px}
.facts dt{color:var(--quiet);font-size:.85rem}
.facts dd{margin:0;font-size:1.3rem;font-weight:650;font-variant-numeric:tabular-nums;line-height:1.3}
.facts dd small{display:block;font-size:.85rem;font-weight:400;color:var(--quiet)}
nav{margin:18px 0 0}nav ul{display:flex;flex-wrap:wrap;gap:4px 18px;list-style:none;margin:0;padding:0}
a{color:var(--accent);text-underline-offset:3px}
section{background:var(--paper);border:1px solid var(--line);border-radius:14px;padding:20px;margin:18px 0;
scroll-margin-top:12px}
table{width:100%;border-collapse:collapse;font-size:.94rem;margin-top:8px}
caption{text-align:left;color:var(--quiet);font-size:.88rem;padding:0 0 6px}
th,td{text-align:left;vertical-align:top;padding:8px 12px 8px 0;border-bottom:1px solid var(--line)}
thead th{font-size:.82rem;color:var(--quiet);font-weight:600;white-space:nowrap}
tbody tr:last-child>*{border-bottom:0}
tbody th{font-weight:600}
.number{text-align:right;padding-right:22px;font-variant-numeric:tabular-nums;white-space:nowrap}
tfoot th,tfoot td{border-top:2px solid var(--line);border-bottom:0;font-weight:650}
code{font:.86em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere;color:var(--quiet)}
.chip{display:inline-block;border-radius:99px;padding:1px 10px;font-size:.82rem;font-weight:600;
background:var(--tint);color:var(--ink);white-space:nowrap}
.good{background:var(--good-back);color:var(--good)}.warn{background:var(--warn-back);color:var(--warn)}
.bad{background:var(--bad-back);color:var(--bad)}
.card{border:1px solid var(--line);border-radius:12px;padding:12px 16px;margin:10px 0;break-inside:avoid}
.card h4{margin:0 0 6px;font-size:.98rem;display:flex;flex-wrap:wrap;gap:4px 12px;justify-content:space-between}
.card ul{margin:4px 0 0;padding-left:20px}.legs{list-style:none;padding:0!important}
.legs{margin:0 0 8px!important}.legs li{display:flex;flex-wrap:wrap;gap:0 12px;justify-content:space-between;padding:3px 0;
border-bottom:1px dotted var(--line)}.legs li:last-child{border:0}
.open{border-left:4px solid var(--warn)}
.steps{list-style:none;margin:10px 0 0;padding:0 0 0 18px;border-left:2px solid var(--line)}
.steps li{position:relative;padding:0 0 12px 6px}
.steps li::before{content:"";position:absolute;left:-25px;top:7px;width:12px;height:12px;border-radius:50%;
background:var(--accent);border:2px solid var(--paper)}
.steps strong{display:block}
footer{padding:8px 20px 40px;color:var(--quiet);font-size:.88rem}
@media (max-width:640px){
header,main,footer{padding-left:14px;padding-right:14px}section{padding:16px 14px}
thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
table,caption,tbody,tfoot,tr,th,td{display:block;width:100%}
tbody tr{border:1px solid var(--line);border-radius:10px;padding:8px 12px;margin:8px 0}
tbody th,tbody td,tfoot th,tfoot td{border:0;padding:3px 0;white-space:normal}
td.number,td[data-label]{display:flex;justify-content:space-between;gap:16px;text-align:right}
td[data-label]::before{content:attr(data-label);color:var(--quiet);font-weight:400;text-align:left;flex:none}
tfoot tr{padding:4px 12px}}
@media print{:root{--back:#fff;--paper:#fff;--ink:#000;--quiet:#444;--line:#bbb;color-scheme:light}
body{font-size:10.5pt}nav,.skip{display:none}header,main,footer{max-width:none;padding:0}
section{border:0;padding:0;margin:0 0 14pt}.facts div{border-color:#bbb}h2{break-after:avoid}
tr,.steps li{break-inside:avoid}thead{display:table-header-group}a{color:inherit;text-decoration:none}
@page{margin:16mm 14mm}}
"""
