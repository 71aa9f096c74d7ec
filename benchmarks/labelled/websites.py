"""Junk around the texts of web sites: cookie banners, menus, footers, forms, in English and Chinese."""

import random

_BANNERS = (
    "We use cookies to improve your experience. By continuing to browse this site you agree to our use of cookies.",
    "This website uses cookies. Accept all cookies | Reject | Manage preferences",
    "We and our partners store and/or access information on a device, such as cookies. You may accept or manage your "
    "choices by clicking below.",
    "Your privacy is important to us. Read our Cookie Policy and Privacy Policy. Accept Decline",
    "JavaScript is disabled. Please enable JavaScript in your browser to use this site.",
)
_MENU = (
    *("Home", "About", "About us", "Contact", "Contact us", "Products", "Services", "Blog", "News", "Shop", "Sale"),
    *("Login", "Log in", "Sign up", "Register", "My account", "Cart (0)", "Wishlist", "Search", "Help", "FAQ"),
    *("Support", "Careers", "Press", "Investors", "Gallery", "Events", "Downloads", "Forum", "Videos", "Pricing"),
    *("Skip to content", "Toggle navigation", "Menu", "Close", "Back to top", "Next", "Previous", "Read more", "More"),
    *("Men", "Women", "Kids", "Shoes", "Accessories", "Sports", "Politics", "Business", "Technology", "Travel"),
)
_FOOTER = (
    "Copyright © {year} {name}. All rights reserved.",
    "Terms of Service | Privacy Policy | Cookie Policy | Sitemap",
    "Follow us on Facebook Twitter Instagram YouTube LinkedIn",
    "Subscribe to our newsletter",
    "Enter your email address",
    "Share this: Tweet | Pin it | Email | Print",
    "Powered by WordPress. Theme by {name}.",
    "Posted in Uncategorized | Leave a comment",
    "{count} comments | Reply | Report",
    "Page {count} of {total}",
    "You must be logged in to post a comment.",
    "Tags: {tags}",
    "Related posts",
    "Free shipping on orders over ${total}",
    "Add to cart",
    "Sort by: Featured Price Low to High Price High to Low Newest",
    "English Deutsch Français Español 中文 日本語",
)
_CHINESE_BANNERS = (
    "本网站使用Cookie以提升您的浏览体验。继续浏览即表示您同意我们使用Cookie。",
    "您的浏览器版本过低,请升级浏览器后访问。",
    "登录后可查看更多内容,立即登录/注册",
    "扫一扫关注微信公众号,获取更多资讯",
)
_CHINESE_MENU = (
    *("首页", "关于我们", "联系我们", "产品中心", "新闻中心", "公司简介", "在线留言", "招聘信息", "登录", "注册"),
    *("购物车", "我的订单", "收藏本站", "设为首页", "网站地图", "帮助中心", "友情链接", "返回顶部", "上一篇", "下一篇"),
    *("更多", "体育", "娱乐", "财经", "科技", "汽车", "房产", "教育", "健康", "军事", "视频", "图片", "博客", "论坛"),
)
_CHINESE_FOOTER = (
    "版权所有 © {year} {name}有限公司 保留所有权利",
    "京ICP备{total}{count}号-{count} 京公网安备 1101{total}号",
    "客服热线:400-{total}-{count} 邮箱:service@{tags}.cn",
    "地址:某市某区某路{count}号 邮编:{total}",
    "分享到:微信 微博 QQ空间 豆瓣",
    "免责声明:本站内容来源于网络,如有侵权请联系删除。",
    "点击加载更多 共{count}页 第{count}页",
    "上一条 下一条 返回列表 打印本页 关闭窗口",
    "浏览次数:{total} 发布时间:{year}-0{digit}-1{digit} 来源:本站",
)


def boilerplate(rand: random.Random) -> str:
    """What is around an article, without the article."""
    return _page(rand, _BANNERS, _MENU, _FOOTER, ["acme", "widgets", "garden", "travel", "phone"])


def chinese_boilerplate(rand: random.Random) -> str:
    return _page(rand, _CHINESE_BANNERS, _CHINESE_MENU, _CHINESE_FOOTER, ["宏达", "鑫源", "华盛", "天成"])


def _page(
    rand: random.Random, banners: tuple[str, ...], menu: tuple[str, ...], footer: tuple[str, ...], names: list[str]
) -> str:
    parts = [rand.choice(banners)] if rand.random() < 0.7 else []
    entries = rand.sample(menu, rand.randint(8, len(menu)))
    mark = rand.choice(("", "- ", "* ", "» ", "• "))
    style = rand.choice(("lines", "bars", "blanks"))
    if style == "lines":
        parts += [mark + entry for entry in entries]
    else:
        parts.append((" | " if style == "bars" else " ").join(entries))
    for line in rand.sample(footer, rand.randint(4, len(footer))):
        values = {"year": rand.randint(2004, 2024), "name": rand.choice(names), "tags": rand.choice(names)}
        count, total = rand.randint(1, 99), rand.randint(100, 9999)
        parts.append(line.format(count=count, total=total, digit=rand.randint(1, 9), **values))
    if rand.random() < 0.3:
        parts += parts[: len(parts) // 2]  # the menu for telephones stands there again
    return "\n".join(parts)
